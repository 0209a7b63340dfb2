/**
 * `<tallow-model>`: what the model is and what runs it, how to choose another, a file or a URL, and what is stored. Emits
 * `choose` with the source.
 */
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { defaultModel, parseModelUrl } from "./address.js";
import { nameOfFile } from "./format.js";
import { describeModel, describeMetadata, describeRuntime, type Row } from "./model-info.js";
import type { ModelState, Source } from "./state.js";
import "./stored-models.js";
import { base } from "./styles/base.js";
import { form } from "./styles/form.js";
import { panel } from "./styles/panel.js";

@customElement("tallow-model")
export class ModelPanel extends LitElement {
  static override styles = [
    base,
    form,
    panel,
    css`
      section {
        margin-bottom: 1.75rem;
      }

      dl {
        margin: 0;
        font-size: 0.9375rem;
      }

      dl div {
        display: grid;
        grid-template-columns: 7.5rem minmax(0, 1fr);
        gap: 0 1rem;
        padding: 0.4rem 0;
      }

      dl div + div {
        border-top: 1px solid var(--line);
      }

      dt {
        color: var(--muted);
      }

      dd {
        margin: 0;
        overflow-wrap: anywhere;
        font-variant-numeric: tabular-nums;
      }

      details {
        margin-top: 0.75rem;
        font-size: 0.9375rem;
      }

      summary {
        width: fit-content;
        border-radius: 0.25rem;
        color: var(--muted);
        cursor: pointer;
      }

      .metadata dl div {
        grid-template-columns: 1fr;
      }

      .metadata :is(dt, dd) {
        font: 0.8125rem/1.5 var(--mono);
        overflow-wrap: anywhere;
      }

      .metadata dd {
        max-height: 12rem;
        overflow-y: auto;
        white-space: pre-wrap;
      }

      p {
        margin: 0 0 1.1rem;
      }

      .file {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem 1rem;
        margin-bottom: 1.1rem;
      }

      p.hint {
        margin: 0;
      }

      @media (hover: none) {
        .drop {
          display: none;
        }
      }

      .url {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 0.4rem 0.5rem;
      }

      .url :is(label, .hint) {
        grid-column: 1 / -1;
      }
    `,
  ];

  @property({ attribute: false }) model!: ModelState;
  @property({ attribute: false }) source!: Source;
  @property({ type: Boolean }) shown = false;
  @state() private wrong = "";

  protected override render() {
    return html`${this.model.kind === "ready" ? this.drawFacts(this.model) : nothing}
      <section>
        <h3>${this.model.kind === "ready" ? "Use another model" : "Choose a model"}</h3>
        ${this.drawDefault()}
        <div class="file">
          <button type="button" class="plain" @click=${this.openFilePicker}>Open a GGUF file…</button>
          <input
            type="file"
            hidden
            accept=".gguf"
            data-testid="model-file"
            aria-label="GGUF file"
            @change=${this.takeFile}
          />
          <p class="hint drop">or drop one anywhere on the page</p>
        </div>
        <form class="url" @submit=${this.takeUrl}>
          <label for="url">From an address</label>
          <input
            id="url"
            name="url"
            type="text"
            inputmode="url"
            autocomplete="off"
            spellcheck="false"
            data-testid="model-url"
            placeholder="https://…/model.gguf"
            aria-describedby="url-hint"
            aria-invalid=${this.wrong !== ""}
          />
          <button type="submit" class="plain">Load</button>
          ${this.wrong ? html`<p class="wrong" role="alert">${this.wrong}</p>` : nothing}
          <p class="hint" id="url-hint">Its host must allow other sites to read it (CORS).</p>
        </form>
      </section>
      <tallow-stored-models data-testid="stored-models" .shown=${this.shown}></tallow-stored-models>`;
  }

  private drawDefault() {
    const source = new URL(defaultModel, document.baseURI);
    if (this.source instanceof URL && this.source.href === source.href) return nothing;
    return html`<p>
      <button type="button" class="plain" data-testid="default-model" @click=${() => this.choose(source)}>
        Go back to ${nameOfFile(defaultModel)}
      </button>
    </p>`;
  }

  private drawFacts({ info, loadMs, warnings }: ModelState & { kind: "ready" }) {
    const metadata = describeMetadata(info);
    return html`<section data-testid="model-info">
        <h3>The model</h3>
        ${drawRows(describeModel(info, this.source))}
        <details class="metadata">
          <summary>Everything in the file (${metadata.length} keys)</summary>
          ${drawRows(metadata)}
        </details>
      </section>
      <section data-testid="runtime-info">
        <h3>What runs it</h3>
        ${drawRows(describeRuntime(info, loadMs))}
        ${warnings.map((warning) => html`<p class="hint" data-testid="warning">While loading: ${warning}</p>`)}
      </section>`;
  }

  private openFilePicker() {
    this.renderRoot.querySelector<HTMLInputElement>("input[type=file]")?.click();
  }

  private takeFile(event: Event) {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    input.value = ""; // The same file can be chosen again, after it was changed on disk.
    if (file) this.choose(file);
  }

  private takeUrl(event: SubmitEvent) {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get("url") ?? "");
    const url = parseModelUrl(text, new URL(document.baseURI));
    this.wrong = url ? "" : "an address that begins with https:// or http://, please";
    if (url) this.choose(url);
  }

  private choose(source: Source) {
    this.dispatchEvent(new CustomEvent("choose", { detail: source }));
  }
}

function drawRows(rows: readonly Row[]) {
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-model": ModelPanel;
  }
}
