/** `<tallow-message>`: one turn of the conversation. An answer carries its facts; the last one emits `regenerate`. */
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import "./copy-button.js";
import { icons, mark } from "./icons.js";
import "./markdown-view.js";
import "./problem-view.js";
import type { Problem } from "./problem.js";
import type { AnswerTurn, Turn } from "./state.js";
import { endingOf, factsOf } from "./stats.js";
import { base } from "./styles/base.js";

@customElement("tallow-message")
export class Message extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }

      .user {
        width: fit-content;
        max-width: 85%;
        margin: 0;
        margin-inline-start: auto;
        padding: 0.6rem 1rem;
        border-radius: 1.25rem 1.25rem 0.35rem 1.25rem;
        background: var(--sunken);
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }

      .answer {
        display: grid;
        grid-template-columns: 1.75rem minmax(0, 1fr);
        gap: 0 0.75rem;
      }

      .answer > .mark {
        margin-top: -0.15rem;
      }

      .answer > :not(.mark, .visually-hidden) {
        grid-column: 2;
      }

      @media (max-width: 40rem) {
        .answer {
          grid-template-columns: minmax(0, 1fr);
        }

        .answer > .mark {
          display: none;
        }

        .answer > :not(.mark, .visually-hidden) {
          grid-column: 1;
        }
      }

      .failed .flame {
        opacity: 0.25;
      }

      .streaming .flame {
        animation: flicker 1.6s ease-in-out infinite;
        transform-box: fill-box;
        transform-origin: 50% 100%;
      }

      @keyframes flicker {
        0%,
        100% {
          transform: scale(1);
        }
        30% {
          transform: scale(0.94, 1.06) rotate(-2deg);
        }
        60% {
          transform: scale(1.04, 0.94) rotate(2deg);
        }
      }

      .reading {
        margin: 0;
        color: var(--muted);
        animation: breathe 1.8s ease-in-out infinite;
      }

      @keyframes breathe {
        50% {
          opacity: 0.55;
        }
      }

      .ending {
        margin: 0.75rem 0 0;
        color: var(--muted);
        font-size: 0.875rem;
        font-style: italic;
      }

      tallow-problem {
        margin-top: 0.75rem;
      }

      .footer {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0 0.5rem;
        min-height: 2rem;
        margin-top: 0.4rem;
        color: var(--muted);
        font-size: 0.8125rem;
      }

      .actions {
        display: flex;
        margin-inline-start: -0.5rem;
      }

      .again {
        display: inline-flex;
        align-items: center;
        gap: 0.35rem;
        min-height: 2rem;
        padding: 0 0.5rem;
        border: 0;
        border-radius: 0.5rem;
        background: none;
        color: var(--muted);
      }

      .again:hover:not(:disabled) {
        background: var(--sunken);
        color: var(--ink);
      }

      ul {
        display: flex;
        flex-wrap: wrap;
        margin: 0;
        padding: 0;
        font-variant-numeric: tabular-nums;
        list-style: none;
      }

      li + li::before {
        content: "·";
        margin: 0 0.4rem;
      }
    `,
  ];

  @property({ attribute: false }) turn!: Turn;
  @property({ type: Boolean }) last = false;
  /** Whether a question would be answered now. */
  @property({ type: Boolean }) ready = false;
  @property({ type: Number }) contextLength = 0;

  protected override render() {
    return this.turn.role === "user" ? this.drawQuestion(this.turn.text) : this.drawAnswer(this.turn);
  }

  private drawQuestion(text: string) {
    return html`<article data-testid="question">
      <h2 class="visually-hidden">You</h2>
      <p class="user">${text}</p>
    </article>`;
  }

  private drawAnswer(turn: AnswerTurn) {
    const reading = turn.status === "streaming" && !turn.text;
    const ending = endingOf(turn, this.contextLength);
    return html`<article
      class="answer ${turn.status}"
      data-testid="answer"
      data-status=${turn.status}
      aria-busy=${turn.status === "streaming"}
    >
      <h2 class="visually-hidden">Answer</h2>
      ${mark(28)}
      <div>
        ${
          turn.text
            ? html`<tallow-markdown data-testid="answer-text" .text=${turn.text}></tallow-markdown>`
            : nothing
        }
        ${reading ? html`<p class="reading">Reading…</p>` : nothing}
        ${saysItself(turn) ? this.drawProblem(turn.problem) : nothing}
        ${ending ? html`<p class="ending" data-testid="ending">${ending}</p>` : nothing}
        ${reading ? nothing : this.drawFooter(turn)}
      </div>
    </article>`;
  }

  private drawProblem(problem: Problem) {
    const remedy =
      problem.code === "context_length_exceeded"
        ? html`<button class="primary" type="button" @click=${this.startAnew}>New conversation</button>`
        : html`<button class="primary" type="button" ?disabled=${!this.ready} @click=${this.regenerate}>
            Try again
          </button>`;
    return html`<tallow-problem .problem=${problem}>${this.last ? remedy : nothing}</tallow-problem>`;
  }

  private drawFooter(turn: AnswerTurn) {
    const settled = turn.status !== "streaming";
    const copy = html`<tallow-copy-button
      data-testid="copy"
      .text=${turn.text}
      what="answer"
    ></tallow-copy-button>`;
    const again = html`<button
      class="again"
      type="button"
      data-testid="regenerate"
      ?disabled=${!this.ready}
      @click=${this.regenerate}
    >
      ${icons.again} Regenerate
    </button>`;
    return html`<div class="footer">
      <div class="actions">
        ${settled && turn.text ? copy : nothing}
        ${settled && this.last && !saysItself(turn) ? again : nothing}
      </div>
      <ul data-testid="stats" aria-label="Measurements">
        ${factsOf(turn).map(({ name, text, title }) => html`<li data-testid=${name} title=${title}>${text}</li>`)}
      </ul>
    </div>`;
  }

  private regenerate() {
    this.dispatchEvent(new Event("regenerate"));
  }

  private startAnew() {
    this.dispatchEvent(new Event("start-anew"));
  }
}

/** Whether the problem is shown at the answer. A lost worker is shown once for the page, with the way back. */
function saysItself(turn: AnswerTurn): turn is AnswerTurn & { problem: Problem } {
  return turn.problem !== undefined && turn.problem.code !== "worker_lost";
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-message": Message;
  }
}
