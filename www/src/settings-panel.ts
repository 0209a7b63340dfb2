/** `<tallow-settings>`: the settings as a form. Emits `change-settings` with every valid change, and `change-theme`. */
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { formatInteger } from "./format.js";
import {
  defaultSettings,
  isNumberOf,
  isSeed,
  maxSeed,
  maxSystemLength,
  numberFields,
  type NumberField,
  type Settings,
} from "./settings.js";
import { base } from "./styles/base.js";
import { form } from "./styles/form.js";
import { themes, type Theme } from "./theme.js";

const themeLabels: Record<Theme, string> = { system: "System", light: "Light", dark: "Dark" };

@customElement("tallow-settings")
export class SettingsPanel extends LitElement {
  static override styles = [
    base,
    form,
    css`
      .choices {
        display: flex;
        grid-column: 1 / -1;
        margin-top: 0.25rem;
        border: 1px solid var(--line-strong);
        border-radius: 0.6rem;
        overflow: hidden;
      }

      .choices label {
        position: relative;
        flex: 1;
        padding: 0.4rem;
        font-weight: 450;
        text-align: center;
        cursor: pointer;
      }

      .choices label + label {
        border-inline-start: 1px solid var(--line);
      }

      .choices input {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        margin: 0;
        border-radius: 0.5rem;
        outline-offset: -2px;
        appearance: none;
        cursor: pointer;
      }

      .choices label:has(:checked) {
        background: var(--sunken);
        font-weight: 600;
      }

      hr {
        height: 1px;
        margin: 1.25rem 0;
        border: 0;
        background: var(--line);
      }
    `,
  ];

  @property({ attribute: false }) settings!: Settings;
  @property() theme: Theme = "system";
  /** The field whose text is not valid now, and what it takes. */
  @state() private wrong: { key: string; text: string } | undefined;

  protected override render() {
    return html`<form data-testid="settings" @submit=${(event: Event) => event.preventDefault()}>
      <div class="field">
        <label for="system">System prompt</label>
        <textarea
          id="system"
          maxlength=${maxSystemLength}
          placeholder="The model’s own"
          aria-describedby="system-hint"
          .value=${this.settings.system}
          @change=${(event: Event) => this.change({ system: (event.target as HTMLTextAreaElement).value })}
        ></textarea>
        <p class="hint" id="system-hint">What the model is told before the conversation</p>
      </div>
      ${numberFields.map((field) => this.drawNumber(field))} ${this.drawSeed()}
      <button type="button" class="plain" data-testid="reset" @click=${this.reset}>Reset to defaults</button>
      <hr />
      <fieldset class="field">
        <legend>Appearance</legend>
        <div class="choices">
          ${themes.map(
            (theme) =>
              html`<label
                ><input
                  type="radio"
                  name="theme"
                  value=${theme}
                  .checked=${this.theme === theme}
                  @change=${() => this.chooseTheme(theme)}
                />${themeLabels[theme]}</label
              >`,
          )}
        </div>
      </fieldset>
    </form>`;
  }

  private drawNumber(field: NumberField) {
    const { key, label, hint, min, max, step } = field;
    const value = String(this.settings[key]);
    const take = (event: Event) => this.takeNumber(field, event.target as HTMLInputElement);
    return html`<div class="field">
      <label for=${key}>${label}</label>
      <input
        id=${key}
        type="number"
        inputmode="decimal"
        min=${min}
        max=${max}
        step=${step < 1 ? "any" : 1}
        aria-describedby="${key}-hint"
        aria-invalid=${this.wrong?.key === key}
        .value=${value}
        @input=${take}
        @change=${take}
      />
      <input
        type="range"
        aria-label=${label}
        min=${min}
        max=${max}
        step=${step}
        .value=${value}
        @input=${take}
      />
      <p class="hint" id="${key}-hint">${hint}</p>
      ${this.drawWrong(key)}
    </div>`;
  }

  private drawSeed() {
    return html`<div class="field">
      <label for="seed">Seed</label>
      <input
        id="seed"
        type="number"
        inputmode="numeric"
        min="0"
        max=${maxSeed}
        step="1"
        placeholder="any"
        aria-describedby="seed-hint"
        aria-invalid=${this.wrong?.key === "seed"}
        .value=${this.settings.seed === null ? "" : String(this.settings.seed)}
        @input=${this.takeSeed}
      />
      <p class="hint" id="seed-hint">the same seed gives the same answer; empty draws a new one each time</p>
      ${this.drawWrong("seed")}
    </div>`;
  }

  private drawWrong(key: string) {
    return this.wrong?.key === key ? html`<p class="wrong" role="alert">${this.wrong.text}</p>` : nothing;
  }

  private takeNumber(field: NumberField, input: HTMLInputElement) {
    const value = input.valueAsNumber;
    if (isNumberOf(field, value)) return this.change({ [field.key]: value });
    const kind = field.step < 1 ? "a number" : "a whole number";
    const text = `${kind} from ${field.min} to ${formatInteger(field.max)}, please`;
    this.wrong = { key: field.key, text };
  }

  private takeSeed(event: Event) {
    const input = event.target as HTMLInputElement;
    if (input.value === "" && !input.validity.badInput) return this.change({ seed: null });
    if (isSeed(input.valueAsNumber)) return this.change({ seed: input.valueAsNumber });
    this.wrong = { key: "seed", text: `a whole number from 0 to ${formatInteger(maxSeed)}, please` };
  }

  private reset() {
    this.change(defaultSettings);
  }

  private change(part: Partial<Settings>) {
    this.wrong = undefined;
    this.dispatchEvent(new CustomEvent("change-settings", { detail: { ...this.settings, ...part } }));
  }

  private chooseTheme(theme: Theme) {
    this.dispatchEvent(new CustomEvent("change-theme", { detail: theme }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-settings": SettingsPanel;
  }
}
