/** The page's drawings. All are decoration: the words are beside them or in a label. */
import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";

/** The mark: a candle. */
export function mark(size: number): TemplateResult {
  return html`<svg class="mark" width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true">
    <path
      fill="var(--wax)"
      d="M10 19.5a2 2 0 0 1 2-2h8a2 2 0 0 1 2 2v10a1.5 1.5 0 0 1-1.5 1.5h-9a1.5 1.5 0 0 1-1.5-1.5Z"
    />
    <path stroke="var(--wick)" stroke-width="1.25" stroke-linecap="round" d="M16 18v-4" />
    <g class="flame">
      <path fill="var(--flame)" d="M16 1c3.4 3.9 5 6.4 5 8.9a5 5 0 0 1-10 0C11 7.4 12.6 4.9 16 1Z" />
      <path
        fill="var(--flame-core)"
        d="M16 7.3c1.5 1.8 2.2 2.9 2.2 4a2.2 2.2 0 0 1-4.4 0c0-1.1.7-2.2 2.2-4Z"
      />
    </g>
  </svg>`;
}

const strokes = (paths: SVGTemplateResult, size = 20) =>
  html`<svg
    width=${size}
    height=${size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.75"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    ${paths}
  </svg>`;

export const icons = {
  arrowUp: strokes(svg`<path d="M12 19V5m0 0-6 6m6-6 6 6" />`),
  arrowDown: strokes(svg`<path d="M12 5v14m0 0-6-6m6 6 6-6" />`),
  stop: html`<svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
    <rect x="2" y="2" width="12" height="12" rx="2.5" fill="currentColor" />
  </svg>`,
  compose: strokes(svg`<path d="M12 20h8" /><path d="M16.5 4.5a2.1 2.1 0 0 1 3 3L8 19l-4 1 1-4Z" />`),
  settings: strokes(
    svg`<path d="M4 7h9m5 0h2M4 17h2m5 0h9" /><circle cx="15.5" cy="7" r="2.5" /><circle cx="8.5" cy="17" r="2.5" />`,
  ),
  close: strokes(svg`<path d="m6 6 12 12M18 6 6 18" />`),
  copy: strokes(
    svg`<rect x="9" y="9" width="11" height="11" rx="2.5" /><path d="M15 5.5A1.5 1.5 0 0 0 13.5 4h-8A1.5 1.5 0 0 0 4 5.5v8A1.5 1.5 0 0 0 5.5 15" />`,
    18,
  ),
  check: strokes(svg`<path d="m5 12.5 4.5 4.5L19 7" />`, 18),
  again: strokes(svg`<path d="M20 12a8 8 0 1 1-2.4-5.7L20 8.5" /><path d="M20 4v4.5h-4.5" />`, 18),
  chevron: strokes(svg`<path d="m7 10 5 5 5-5" />`, 16),
  warning: strokes(svg`<path d="M12 8v5" /><path d="M12 16.5v.01" /><circle cx="12" cy="12" r="9" />`),
};
