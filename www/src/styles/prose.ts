/** How a model's Markdown looks. */
import { css } from "lit";

export const prose = css`
  .prose {
    overflow-wrap: anywhere;
  }

  .prose > *,
  .prose blockquote > *,
  .prose li > p {
    margin: 0;
  }

  .prose li + li {
    margin-top: 0.25em;
  }

  .prose li > :is(ul, ol) {
    margin: 0.25em 0 0;
  }

  .prose :is(ul, ol) {
    padding-inline-start: 1.5em;
  }

  .prose ::marker {
    color: var(--muted);
  }

  .prose :is(h1, h2, h3, h4, h5, h6) {
    margin-top: 0.4em;
    font-size: 1.0625em;
    font-weight: 650;
    line-height: 1.35;
  }

  .prose :is(h1, h2) {
    font-size: 1.2em;
  }

  .prose blockquote {
    padding-inline-start: 0.9em;
    border-inline-start: 3px solid var(--line);
    color: var(--muted);
  }

  .prose hr {
    height: 1px;
    border: 0;
    background: var(--line);
  }

  .prose a,
  .scroll a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }

  code {
    font-family: var(--mono);
    font-size: 0.875em;
  }

  .prose code,
  .scroll code {
    padding: 0.1em 0.35em;
    border-radius: 0.35em;
    background: var(--sunken);
  }

  .prose pre code {
    padding: 0;
    background: none;
  }

  .prose pre {
    overflow-x: auto;
  }

  .code {
    margin: 0;
    overflow: hidden;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
  }

  .code figcaption {
    display: flex;
    align-items: center;
    justify-content: space-between;
    padding: 0.15rem 0.4rem 0.15rem 1rem;
    border-bottom: 1px solid var(--line);
    color: var(--muted);
    font-size: 0.8125rem;
  }

  .code pre {
    margin: 0;
    padding: 0.8rem 1rem;
    overflow-x: auto;
    line-height: 1.55;
    tab-size: 4;
  }

  .code pre:focus-visible,
  .scroll:focus-visible {
    outline-offset: -2px;
  }

  .scroll {
    overflow-x: auto;
    border: 1px solid var(--line);
    border-radius: var(--radius);
  }

  table {
    width: 100%;
    border-collapse: collapse;
    font-size: 0.9375em;
  }

  :is(th, td) {
    padding: 0.5rem 0.9rem;
    border-bottom: 1px solid var(--line);
    text-align: start;
    vertical-align: top;
  }

  :is(th, td)[align="right"] {
    text-align: end;
  }

  :is(th, td)[align="center"] {
    text-align: center;
  }

  :is(.prose, .code, .scroll) + :is(.prose, .code, .scroll) {
    margin-top: 0.85em;
  }

  tr:last-child > td {
    border-bottom: 0;
  }

  th {
    background: var(--sunken);
    font-weight: 600;
    white-space: nowrap;
  }
`;
