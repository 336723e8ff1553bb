// What a model writes, as elements. Two walls: HTML in it is shown as text and never parsed as such, and what the Markdown
// becomes passes a list of the few elements and attributes that may be there. The content security policy is the third.
import { Marked } from "../../vendor/marked.esm.js";
import { icon } from "./parts.js";

const RULES = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["href", "align", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ADD_URI_SAFE_ATTR: ["align", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const NAME = /^[\w+#.-]{1,30}$/;

const escaped = (text) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    // A picture from elsewhere would tell its host who reads this, and when.
    image: ({ href, text }) => `<a href="${escaped(href ?? "")}">${escaped(text || href || "image")}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

function written(token) {
  const block = document.createElement("div");
  block.className = "block";
  block.dir = "auto";
  block.append(window.DOMPurify.sanitize(marked.parser([token]), RULES));
  // A link whose address may not be there is a text like any other.
  for (const text of block.querySelectorAll("a:not([href])")) text.replaceWith(...text.childNodes);
  for (const link of block.querySelectorAll("a[href]")) {
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
  }
  for (const table of block.querySelectorAll("table")) {
    const scroll = document.createElement("div");
    scroll.className = "table-scroll";
    scroll.tabIndex = 0;
    table.replaceWith(scroll);
    scroll.append(table);
  }
  for (const pre of block.querySelectorAll("pre")) {
    pre.tabIndex = 0;
    pre.dir = "ltr";
  }
  return block;
}

function code(token) {
  const block = document.createElement("div");
  block.className = "code";
  block.dir = "ltr";
  const head = document.createElement("div");
  head.className = "code-head";
  const name = document.createElement("span");
  const language = (token.lang ?? "").split(/\s/)[0];
  name.textContent = NAME.test(language) ? language : "code";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "button quiet";
  copy.dataset.copyCode = "";
  copy.append(icon("copy"), "Copy");
  head.append(name, copy);
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const text = document.createElement("code");
  text.textContent = token.text;
  pre.append(text);
  block.append(head, pre);
  return block;
}

// Shows a text in an element. Blocks that stand as they are stay untouched, so that a growing answer costs little and what
// is selected in it stays selected.
export function show(element, text) {
  const tokens = marked.lexer(text).filter((token) => token.type !== "space" && token.type !== "def");
  const shown = [...element.children];
  tokens.forEach((token, at) => {
    const old = shown[at];
    if (old?.raw === token.raw && old.kind === token.type) return;
    const block = token.type === "code" ? code(token) : written(token);
    block.raw = token.raw;
    block.kind = token.type;
    if (old) old.replaceWith(block);
    else element.append(block);
  });
  for (const rest of shown.slice(tokens.length)) rest.remove();
}
