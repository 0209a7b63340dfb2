/**
 * `<tallow-stored-models>`: what the browser keeps of models, how much room that takes, and a way to be rid of it. Looks
 * anew whenever it is `shown`.
 */
import { LitElement, css, html, nothing, type PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { cache, type CachedModel, type StorageEstimate } from "tallow";
import { formatBytes, nameOfFile } from "./format.js";
import { base } from "./styles/base.js";
import { form } from "./styles/form.js";
import { panel } from "./styles/panel.js";

@customElement("tallow-stored-models")
export class StoredModels extends LitElement {
  static override styles = [
    base,
    form,
    panel,
    css`
      ul {
        margin: 0;
        padding: 0;
        font-size: 0.9375rem;
        list-style: none;
      }

      li {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        align-items: center;
        gap: 0 1rem;
        padding: 0.4rem 0;
        overflow-wrap: anywhere;
      }

      li + li {
        border-top: 1px solid var(--line);
      }

      .room {
        margin: 0.5rem 0 0.75rem;
      }
    `,
  ];

  @property({ type: Boolean }) shown = false;
  @state() private models: readonly CachedModel[] | undefined;
  @state() private room: StorageEstimate | undefined;
  @state() private deleting = false;
  @state() private outcome = "";
  @state() private wrong = "";
  @query("h3") private heading!: HTMLElement;

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("shown") || !this.shown) return;
    this.outcome = "";
    void this.attempt(() => this.look());
  }

  protected override render() {
    const { models = [], room } = this;
    return html`<h3 tabindex="-1">Stored in this browser</h3>
      ${
        models.length > 0
          ? html`<ul>
              ${models.map((model) => this.drawModel(model))}
            </ul>`
          : html`<p class="hint" data-testid="none-stored">
              ${this.models ? "No model is stored." : "Looking…"}
            </p>`
      }
      ${
        room
          ? html`<p class="hint room" data-testid="room">
              This page takes ${formatBytes(room.usage)} of the ${formatBytes(room.quota)} that it may.
            </p>`
          : nothing
      }
      ${
        models.length > 1
          ? html`<button
              type="button"
              class="plain"
              data-testid="delete-all"
              ?disabled=${this.deleting}
              @click=${() => this.delete()}
            >
              Delete all
            </button>`
          : nothing
      }
      <p class="visually-hidden" role="status">${this.outcome}</p>
      ${this.wrong ? html`<p class="wrong" role="alert">${this.wrong}</p>` : nothing}`;
  }

  private drawModel(model: CachedModel) {
    const name = nameOf(model);
    return html`<li data-testid="stored-model">
      <div>
        ${name}
        <p class="hint">
          ${formatBytes(model.storedBytes)}${model.complete ? nothing : ", not all of it: the next load goes on"}
        </p>
      </div>
      <button
        type="button"
        class="plain"
        aria-label="Delete ${name}"
        ?disabled=${this.deleting}
        @click=${() => this.delete(model)}
      >
        Delete
      </button>
    </li>`;
  }

  private async look(): Promise<void> {
    [this.models, this.room] = await Promise.all([cache.list(), cache.estimate()]);
  }

  /** Deletes one model, or all. The model that runs goes on: it is in memory. */
  private async delete(model?: CachedModel): Promise<void> {
    this.deleting = true;
    await this.attempt(async () => {
      await (model ? cache.delete(model.urls) : cache.delete());
      this.outcome = model ? `${nameOf(model)} was deleted` : "All models were deleted";
      await this.look();
    });
    this.deleting = false;
    // What was pressed may be gone.
    this.heading.focus();
  }

  private async attempt(action: () => Promise<void>): Promise<void> {
    this.wrong = "";
    try {
      await action();
    } catch (error) {
      this.wrong = error instanceof Error ? error.message : String(error);
    }
  }
}

function nameOf({ urls }: CachedModel): string {
  return nameOfFile(urls[0] ?? "");
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-stored-models": StoredModels;
  }
}
