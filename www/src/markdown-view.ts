/** `<tallow-markdown>`: a model's Markdown, drawn block by block. */
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { unsafeHTML } from "lit/directives/unsafe-html.js";
import "./copy-button.js";
import { parseMarkdown, type Block } from "./markdown.js";
import { base } from "./styles/base.js";
import { prose } from "./styles/prose.js";

@customElement("tallow-markdown")
export class MarkdownView extends LitElement {
  static override styles = [
    base,
    prose,
    css`
      :host {
        display: block;
      }
    `,
  ];

  @property({ attribute: false }) text = "";

  protected override render() {
    return parseMarkdown(this.text).map(drawBlock);
  }
}

function drawBlock(block: Block) {
  switch (block.kind) {
    case "code":
      return html`<figure class="code">
        <figcaption>
          <span>${block.language || "text"}</span>
          <tallow-copy-button .text=${block.text} what="code"></tallow-copy-button>
        </figcaption>
        <pre tabindex="0"><code>${block.text}</code></pre>
      </figure>`;
    case "table":
      return html`<div class="scroll" tabindex="0" role="region" aria-label="Table">
        ${unsafeHTML(block.html)}
      </div>`;
    case "prose":
      return html`<div class="prose">${unsafeHTML(block.html)}</div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tallow-markdown": MarkdownView;
  }
}
