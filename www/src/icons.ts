/** The page's drawings. All are decoration: the words are beside them or in a label. */
import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";

/** The mark: a candle. */
export function mark(size: number): TemplateResult {
  return html`<svg class="mark" width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true">
    <g class="flame">
      <path fill="var(--flame)" d="M16 1.5c4 4.3 5.8 7 5.8 9.7a5.8 5.8 0 0 1-11.6 0c0-2.7 1.8-5.4 5.8-9.7Z" />
      <path fill="var(--flame-core)" d="M16 8c1.7 1.9 2.5 3 2.5 4.2a2.5 2.5 0 0 1-5 0c0-1.2.8-2.3 2.5-4.2Z" />
    </g>
    <path
      fill="var(--wax)"
      d="M9.5 18.5h13a2.5 2.5 0 0 1 2.5 2.5v8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 7 29v-8a2.5 2.5 0 0 1 2.5-2.5Z"
    />
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
