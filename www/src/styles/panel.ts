/** The headings of what stands in a sheet. */
import { css } from "lit";

export const panel = css`
  h3 {
    margin: 0 0 0.5rem;
    color: var(--muted);
    font-size: 0.8125rem;
    font-weight: 600;
    letter-spacing: 0.02em;
  }
`;
