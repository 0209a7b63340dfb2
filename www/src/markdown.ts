/**
 * A model's Markdown as blocks that are safe to show. A model's output is untrusted, so there are two walls: HTML in
 * it is shown as the text it is, and what the Markdown itself becomes passes a sanitiser with a short list of what
 * may stay. Nothing of it is ever fetched: an image becomes a link. Code is handed on as text and never as HTML.
 *
 * Blocks rather than one string, because a growing answer then redraws only its last block, and a selection in the
 * ones above it stays.
 */
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

export type Block =
  { kind: "code"; language: string; text: string } | { kind: "table" | "prose"; html: string };

const markdown = new Marked({
  gfm: true,
  breaks: true, // Small models end lines of verse and addresses with one newline.
  renderer: {
    html: ({ text }) => escapeHtml(text),
    image: ({ href, text }) => `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const purifier = DOMPurify(window);
const allowed = {
  ALLOWED_TAGS:
    "a p br hr strong em del code pre ul ol li blockquote h1 h2 h3 h4 h5 h6 table thead tbody tr th td".split(
      " ",
    ),
  ALLOWED_ATTR: ["href", "start", "align", "target", "rel"],
  ADD_URI_SAFE_ATTR: ["align", "start"], // They hold no address, so the rule for addresses is not for them.
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
};

purifier.addHook("afterSanitizeAttributes", (node) => {
  node.removeAttribute("target");
  node.removeAttribute("rel");
  if (node.tagName !== "A" || !node.hasAttribute("href")) return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

export function parseMarkdown(text: string): Block[] {
  return markdown.lexer(text).filter(isShown).map(toBlock);
}

function isShown(token: Token): boolean {
  return token.type !== "space" && token.type !== "def";
}

function toBlock(token: Token): Block {
  if (token.type === "code") {
    const { lang = "", text } = token as Tokens.Code;
    return { kind: "code", language: /^[\w+#.-]{1,24}/.exec(lang)?.[0] ?? "", text };
  }
  const html = purifier.sanitize(markdown.parser([token]), allowed);
  return { kind: token.type === "table" ? "table" : "prose", html };
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
