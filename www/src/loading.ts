/** `<tallow-loading>`: how far a model has come, how fast, and how long it will take. Emits `cancel`. */
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { LoadProgress } from "tallow";
import { formatBytes, formatSpeed, formatTimeLeft } from "./format.js";
import { base } from "./styles/base.js";

@customElement("tallow-loading")
export class Loading extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
      }

      p {
        display: flex;
        flex-wrap: wrap;
        justify-content: space-between;
        gap: 0 1rem;
        margin: 0 0 0.5rem;
        font-variant-numeric: tabular-nums;
      }

      .numbers {
        min-height: 1.5em;
        margin: 0.5rem 0 0;
        color: var(--muted);
        font-size: 0.875rem;
      }

      progress {
        display: block;
        width: 100%;
        height: 0.5rem;
        overflow: hidden;
        border: 0;
        border-radius: 999px;
        appearance: none;
        background: var(--sunken);
        color: var(--bar);
      }

      progress::-webkit-progress-bar {
        background: var(--sunken);
      }

      progress::-webkit-progress-value {
        border-radius: 999px;
        background: var(--bar);
      }

      progress::-moz-progress-bar {
        border-radius: 999px;
        background: var(--bar);
      }

      progress:indeterminate {
        background: linear-gradient(90deg, var(--sunken) 30%, var(--bar) 50%, var(--sunken) 70%) 0 / 300% 100%;
        animation: slide 1.8s linear infinite;
      }

      progress:indeterminate::-webkit-progress-bar {
        background: none;
      }

      progress:indeterminate::-moz-progress-bar {
        background: none;
      }

      .actions {
        display: flex;
        justify-content: center;
        margin-top: 1rem;
      }

      @keyframes slide {
        from {
          background-position: 100% 0;
        }
        to {
          background-position: 0 0;
        }
      }
    `,
  ];

  @property() name = "";
  @property({ attribute: false }) progress: LoadProgress | undefined;
  @property({ attribute: false }) bytesPerSecond: number | undefined;

  protected override render() {
    const { loaded = 0, total } = this.progress ?? {};
    const share = total && this.progress?.phase === "download" ? loaded / total : undefined;
    return html`<div data-testid="loading">
      <p>
        <span id="label">${this.phase}</span>
        <span>${share === undefined ? nothing : `${Math.floor(share * 100)}%`}</span>
      </p>
      <progress
        data-testid="progress"
        aria-labelledby="label"
        aria-valuetext=${this.numbers || nothing}
        .max=${1}
        value=${share ?? nothing}
      ></progress>
      <p class="numbers">
        <span data-testid="bytes">${this.numbers}</span>
        <span data-testid="speed">${this.pace}</span>
      </p>
      <div class="actions">
        <button type="button" class="plain" @click=${this.cancel}>Cancel</button>
      </div>
    </div>`;
  }

  private get phase(): string {
    return this.progress?.phase === "prepare" ? `Preparing ${this.name}` : `Loading ${this.name}`;
  }

  private get numbers(): string {
    if (!this.progress) return "";
    const { loaded, total } = this.progress;
    return total === undefined ? formatBytes(loaded) : `${formatBytes(loaded)} of ${formatBytes(total)}`;
  }

  private get pace(): string {
    const [progress, speed] = [this.progress, this.bytesPerSecond];
    if (!progress || !speed || progress.phase !== "download") return "";
    const left = progress.total && (progress.total - progress.loaded) / speed;
    return left ? `${formatSpeed(speed)} · ${formatTimeLeft(left)}` : formatSpeed(speed);
  }

  private cancel() {
    this.dispatchEvent(new Event("cancel"));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-loading": Loading;
  }
}
