// One message as it is shown.
import * as money from "./money.js";
import { show } from "./markdown.js";
import { button, icon, link, make } from "./parts.js";

// Builds the element of a message; `acts` has what its buttons do.
export function turn(message, acts) {
  const element = make("article", `turn ${message.role}`);
  element.dataset.id = message.id;
  update(element, message, acts);
  return element;
}

export function update(element, message, acts) {
  if (message.role === "user") user(element, message, acts);
  else assistant(element, message, acts);
}

function user(element, message, acts) {
  element.setAttribute("aria-label", "You");
  const said = make("div", "said");
  said.dir = "auto";
  said.textContent = message.text;
  const foot = make("div", "turn-foot");
  foot.append(button("Edit", "pencil", () => edit(element, message, acts)));
  element.replaceChildren(...pictures(message.images), said, foot);
}

function pictures(images = []) {
  if (images.length === 0) return [];
  const row = make("div", "turn-images");
  for (const [at, source] of images.entries()) {
    const picture = make("img");
    picture.src = source;
    picture.alt = `Image ${at + 1} of this message`;
    row.append(picture);
  }
  return [row];
}

function edit(element, message, acts) {
  const form = make("form", "turn-edit");
  const text = make("textarea", "input");
  text.value = message.text;
  text.rows = Math.min(12, message.text.split("\n").length + 1);
  text.setAttribute("aria-label", "Your message");
  const row = make("div", "row end");
  const keep = button("Leave it", "x", () => update(element, message, acts));
  const send = make("button", "button primary", "Send again");
  send.type = "submit";
  row.append(keep, send);
  form.append(text, row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value.trim() || message.images?.length) acts.edit(message, text.value.trim());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") update(element, message, acts);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  element.replaceChildren(...pictures(message.images), form);
  text.focus();
}

function assistant(element, message, acts) {
  const running = message.state === "running";
  element.classList.toggle("waiting-for", running);
  element.setAttribute("aria-label", message.name || "Answer");
  element.setAttribute("aria-busy", String(running));
  let parts = element.parts;
  if (!parts) {
    parts = element.parts = {
      who: make("p", "turn-who"),
      thought: thought(),
      said: make("div", "said written"),
      error: make("div"),
      foot: make("div", "turn-foot"),
    };
    element.append(parts.who, parts.thought, parts.said, parts.error, parts.foot);
  }
  parts.who.textContent = message.name || message.model || "";
  parts.thought.hidden = !message.reasoning;
  if (message.reasoning) parts.thought.lastChild.textContent = message.reasoning;
  show(parts.said, message.text);
  parts.error.replaceChildren(...(message.error ? [failed(message, acts)] : []));
  // Its buttons may hold the focus, so it is not made anew for each piece.
  if (parts.state !== footState(message)) {
    parts.state = footState(message);
    parts.foot.replaceChildren(...foot(message, acts));
  }
}

const footState = ({ state, cost, call, model, provider, settling }) =>
  JSON.stringify([state, cost, call, model, provider, settling]);

function thought() {
  const details = make("details", "thought");
  details.append(make("summary", "", icon("chevron-right"), "Thoughts"), make("div"));
  return details;
}

function failed(message, acts) {
  const flash = make("div", `flash ${message.text ? "warn" : "bad"}`, icon("circle-x"));
  flash.setAttribute("role", "alert");
  const body = make("div", "row between grow", make("p", "", message.error.message));
  const row = make("div", "row");
  if (message.error.action) {
    const way = link(message.error.action.href, message.error.action.label);
    way.className = "button";
    row.append(way);
  }
  row.append(button("Try again", "refresh-cw", () => acts.retry(message), { quiet: false }));
  body.append(row);
  flash.append(body);
  return flash;
}

function foot(message, acts) {
  if (message.state === "running") return [];
  const parts = [];
  if (message.text) parts.push(button("Copy", "copy", (event) => acts.copy(message.text, event.currentTarget)));
  if (!message.error) parts.push(button("Try again", "refresh-cw", () => acts.retry(message)));
  const facts = [];
  if (message.state === "stopped") facts.push("Stopped");
  if (message.finish === "length") facts.push("Cut at its longest");
  if (message.cost !== undefined) facts.push(cost(message.cost));
  else if (message.settling) facts.push("Cost is being settled");
  else if (message.call && message.state !== "failed") facts.push("Cost is in the log");
  if (message.tokens) facts.push(`${message.tokens.in} ${message.tokens.in === 1 ? "token" : "tokens"} in, ${message.tokens.out} out`);
  if (message.provider) facts.push(message.provider);
  for (const fact of facts) parts.push(fact instanceof Node ? fact : make("span", "", fact));
  if (message.call) parts.push(link(`/activity/${message.call}`, "Call"));
  return parts;
}

function cost(text) {
  const units = money.parse(text);
  const element = make("span", "num turn-cost", money.display(units));
  element.title = money.exact(units);
  return element;
}
