// Small elements that the chat room is built of.
export function icon(name) {
  const held = document.getElementById("chat-icons").content.querySelector(`[data-icon="${name}"] svg`);
  return held.cloneNode(true);
}

export function make(tag, name = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

export function button(label, picture, act, { quiet = true, only = false } = {}) {
  const element = make("button", `button${quiet ? " quiet" : ""}${only ? " icon-only" : ""}`, icon(picture));
  element.type = "button";
  if (only) element.setAttribute("aria-label", label);
  else element.append(label);
  element.addEventListener("click", act);
  return element;
}

// A path of our own pages: what an error leads to is never elsewhere.
export function link(href, label) {
  const element = make("a", "", label);
  element.href = href.startsWith("/") && !href.startsWith("//") ? href : "/";
  return element;
}
