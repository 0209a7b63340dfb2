/** `<tallow-problem>`: what went wrong, what to do, and the engine's own words behind a disclosure. */
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { icons } from "./icons.js";
import type { Problem } from "./problem.js";
import { base } from "./styles/base.js";

@customElement("tallow-problem")
export class ProblemView extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }

      section {
        display: grid;
        grid-template-columns: auto minmax(0, 1fr);
        gap: 0.25rem 0.75rem;
        padding: 1rem;
        border: 1px solid var(--danger-line);
        border-radius: var(--radius);
        background: var(--danger-surface);
        text-align: start;
      }

      section > svg {
        margin-top: 0.125rem;
        color: var(--danger);
      }

      section > :not(svg) {
        grid-column: 2;
        margin: 0;
      }

      h2 {
        font-size: 1rem;
        font-weight: 600;
        line-height: 1.5;
      }

      details {
        font-size: 0.875rem;
      }

      summary {
        width: fit-content;
        border-radius: 0.25rem;
        color: var(--muted);
        cursor: pointer;
      }

      code {
        display: block;
        margin-top: 0.35rem;
        font: 0.8125rem/1.5 var(--mono);
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }

      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
        margin-top: 0.6rem;
      }

      @media (max-width: 40rem) {
        section > .actions {
          grid-column: 1 / -1;
        }
      }
    `,
  ];

  @property({ attribute: false }) problem!: Problem;

  protected override render() {
    const { title, advice, code, detail } = this.problem;
    return html`<section role="alert" data-testid="problem" data-code=${code}>
      ${icons.warning}
      <h2>${title}</h2>
      <p>${advice}</p>
      <details>
        <summary>Details</summary>
        <code data-testid="problem-detail">${code}: ${detail}</code>
      </details>
      <div class="actions"><slot></slot></div>
    </section>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-problem": ProblemView;
  }
}
