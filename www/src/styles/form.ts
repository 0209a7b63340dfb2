/** Fields of forms: label, input, hint. */
import { css } from "lit";

export const form = css`
  .field {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    align-items: center;
    gap: 0.25rem 1rem;
    margin: 0 0 1.1rem;
    padding: 0;
    border: 0;
  }

  .field > :is(.hint, input[type="range"], textarea, .wide) {
    grid-column: 1 / -1;
  }

  label,
  legend {
    padding: 0;
    font-weight: 550;
  }

  .hint {
    margin: 0;
    color: var(--muted);
    font-size: 0.8125rem;
    line-height: 1.4;
  }

  input[type="number"],
  input[type="text"],
  input[type="url"],
  textarea {
    min-height: 2.5rem;
    padding: 0.4rem 0.7rem;
    border: 1px solid var(--line-strong);
    border-radius: 0.6rem;
    background: var(--surface);
    color: var(--ink);
  }

  input[type="number"] {
    width: 6rem;
    font-variant-numeric: tabular-nums;
    text-align: end;
    appearance: textfield; /* The slider beside it does what the little arrows would. */
  }

  textarea {
    width: 100%;
    min-height: 5.5rem;
    line-height: 1.5;
    resize: vertical;
  }

  ::placeholder {
    color: var(--muted);
    opacity: 1;
  }

  :is(input, textarea)[aria-invalid="true"] {
    border-color: var(--danger);
  }

  .wrong {
    grid-column: 1 / -1;
    margin: 0;
    color: var(--danger);
    font-size: 0.8125rem;
  }

  input[type="range"] {
    width: 100%;
    height: 1.5rem;
    margin: 0;
    accent-color: var(--accent);
  }
`;
