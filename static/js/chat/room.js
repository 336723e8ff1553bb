// The chat room. Conversations are kept by this browser alone; the server sees a message when it is sent, and forgets it.
import { ask, Refused, settled } from "./call.js";
import * as images from "./images.js";
import * as money from "./money.js";
import { ago, balance, copy, grow, remember, remembered } from "./page.js";
import { button, make } from "./parts.js";
import { freshId, Store } from "./store.js";
import { turn, update } from "./turn.js";

const $ = (id) => document.getElementById(id);
// How often a running answer is written down, and after how long without that its tab is taken for gone.
const SAVE_EVERY_MS = 1_000;
const GONE_AFTER_MS = 15_000;
const TITLE = 60;
// Messages of one conversation that are sent along: what one call may have.
const MAX_SENT = 900;

class Room {
  constructor(root, store) {
    this.root = root;
    this.store = store;
    this.org = root.dataset.org;
    this.token = root.dataset.csrf;
    this.log = $("chat-log");
    this.conversation = null;
    this.messages = [];
    this.draft = [];
    // Running answers of this tab, by conversation.
    this.running = new Map();
    this.acts = {
      edit: (message, text) => this.edit(message, text),
      retry: (message) => this.retry(message),
      copy: (text, from) => copy(text, from),
    };
    this.tabs = "BroadcastChannel" in window ? new BroadcastChannel(`farebox-chat-${root.dataset.scope}`) : null;
    this.tabs?.addEventListener("message", (event) => this.heard(event.data));
  }

  async start() {
    this.root.hidden = false;
    listen(this);
    const asked = new URLSearchParams(location.search).get("model");
    const first = [asked, remembered("model")].find((one) => one && option(one));
    if (first) $("chat-model").value = first;
    this.modelChanged();
    await this.list();
    const wanted = location.hash.slice(1);
    const known = wanted && (await this.store.get("conversations", wanted));
    await this.open(known?.org === this.org ? known.id : null);
    if (!this.store.lasting) this.wrong("This browser keeps nothing for this page, so conversations end with the tab.");
    $("chat-text").focus();
  }

  // --- conversations

  async list() {
    const all = (await this.store.conversations(this.org)).sort((one, other) => other.updated - one.updated);
    $("chat-list").replaceChildren(...all.map((one) => this.row(one)));
    $("chat-list-empty").hidden = all.length > 0;
    this.sum();
  }

  row(one) {
    const open = make("button", "chat-open", make("b", "", one.title || "New conversation"), make("span", "", ago(one.updated)));
    open.type = "button";
    open.addEventListener("click", () => {
      this.open(one.id);
      this.drawer(false);
    });
    const drop = button(`Delete “${one.title}”`, "trash-2", () => this.drop(one), { only: true });
    drop.classList.add("chat-drop");
    const item = make("li", "", open, drop);
    item.dataset.id = one.id;
    item.toggleAttribute("data-open", one.id === this.conversation);
    if (one.id === this.conversation) open.setAttribute("aria-current", "true");
    return item;
  }

  async open(id) {
    this.conversation = id;
    history.replaceState(null, "", id ? `#${id}` : location.pathname);
    await this.reload();
    await this.list();
  }

  // The messages as they are kept; running ones of this tab as they are.
  async reload() {
    const id = this.conversation;
    const kept = id ? await this.store.messages(id) : [];
    if (id !== this.conversation) return;
    const own = this.running.get(id)?.message;
    this.messages = kept.map((message) => (message.id === own?.id ? own : message));
    for (const message of this.messages) await this.mend(message, own);
    this.draw();
  }

  // An answer whose tab is gone will not go on.
  async mend(message, own) {
    if (message.state !== "running" || message === own || Date.now() - (message.beat ?? 0) < GONE_AFTER_MS) return;
    message.state = "broken";
    message.error = { message: "The tab was closed in the middle of the answer. What came until then is kept." };
    await this.store.put("messages", plain(message));
    this.settle(message);
  }

  draw() {
    const nothing = make("div", "chat-begin", make("h2", "", "Say something"));
    nothing.append(make("p", "", "Choose a model above. What you write is kept by this browser and by nobody else."));
    const turns = this.messages.map((message) => turn(message, this.acts));
    this.log.replaceChildren(...(turns.length ? turns : [nothing]));
    this.log.scrollTop = this.log.scrollHeight;
    this.buttons();
    this.sum();
  }

  async sum() {
    const shown = this.messages.reduce((sum, message) => sum + money.parse(message.cost ?? 0), 0n);
    const conversation = this.conversation && (await this.store.get("conversations", this.conversation));
    const spent = shown + money.parse(conversation?.past ?? 0);
    $("chat-sum").textContent = spent > 0n ? `${money.display(spent)} so far` : "";
    $("chat-sum").title = spent > 0n ? `${money.exact(spent)}, answers included that you had tried again` : "";
  }

  async drop(one) {
    this.stop(one.id);
    await this.store.forget(one.id);
    this.tell(one.id);
    if (one.id === this.conversation) await this.open(null);
    else await this.list();
  }

  // --- messages

  async send() {
    const text = $("chat-text").value.trim();
    const pictures = this.draft;
    if (this.sending || (!text && pictures.length === 0) || this.running.has(this.conversation)) return;
    if (pictures.length && !sees()) {
      this.wrong(`${chosen().dataset.name} takes no images. Remove them, or choose a model that does.`);
      return;
    }
    this.wrong("");
    // Writing it down takes a moment, in which the form may be sent again.
    this.sending = true;
    try {
      if (!this.conversation) await this.begin(text);
      const message = { id: freshId(), conversation: this.conversation, role: "user", text, images: pictures, state: "done" };
      await this.store.put("messages", message);
      $("chat-text").value = "";
      this.draft = [];
      this.drawDraft();
      grow();
      this.messages.push(message);
    } finally {
      this.sending = false;
    }
    await this.answer(this.conversation);
  }

  async begin(text) {
    const id = freshId();
    const title = (text || "Images").replace(/\s+/g, " ").slice(0, TITLE);
    await this.store.put("conversations", { id, org: this.org, title, created: Date.now(), updated: Date.now(), past: "0" });
    this.conversation = id;
    history.replaceState(null, "", `#${id}`);
  }

  async edit(message, text) {
    if (this.running.has(this.conversation)) return;
    await this.cut(this.messages.indexOf(message) + 1);
    message.text = text;
    await this.store.put("messages", plain(message));
    await this.answer(this.conversation);
  }

  async retry(message) {
    if (this.running.has(this.conversation)) return;
    await this.cut(this.messages.indexOf(message));
    await this.answer(this.conversation);
  }

  // Takes messages away from there on. What they cost was spent all the same.
  async cut(from) {
    const gone = this.messages.splice(from);
    const spent = gone.reduce((sum, message) => sum + money.parse(message.cost ?? 0), 0n);
    await this.store.change("conversations", this.conversation, (one) => {
      one.past = money.text(money.parse(one.past) + spent);
    });
    await this.store.drop("messages", ...gone.map((message) => message.id));
  }

  // Asks for the next message of a conversation, which is the open one.
  async answer(id) {
    const { value, dataset } = chosen();
    const body = { model: value, messages: this.sent(), stream: true };
    const message = {
      id: freshId(), conversation: id, role: "assistant", text: "", reasoning: "", state: "running", name: dataset.name,
      model: value, beat: Date.now(),
    };
    const control = new AbortController();
    this.running.set(id, { message, control });
    this.messages.push(message);
    this.draw();
    await this.save(message);
    await this.list();
    try {
      await ask(body, this.token, control.signal, (told) => this.hear(message, told));
      message.state = "done";
    } catch (error) {
      this.end(message, error);
    }
    this.running.delete(id);
    await this.save(message);
    this.show(message);
    this.buttons();
    this.list();
    this.settle(message);
    if (this.conversation === id) this.announce(message);
  }

  // What the next answer needs to know.
  sent() {
    const may = sees();
    return this.messages.slice(-MAX_SENT).filter((one) => one.role === "user" || one.text).map(({ role, text, images = [] }) => {
      if (role !== "user" || images.length === 0) return { role, content: text };
      const parts = may
        ? images.map((url) => ({ type: "image_url", image_url: { url } }))
        : [{ type: "text", text: "(An image that you cannot see.)" }];
      return { role, content: [...(text ? [{ type: "text", text }] : []), ...parts] };
    });
  }

  hear(message, { text, reasoning, ...facts }) {
    message.text += text ?? "";
    message.reasoning += reasoning ?? "";
    for (const [name, value] of Object.entries(facts)) if (value !== undefined) message[name] = value;
    if (facts.cost !== undefined) message.cost = money.text(money.parse(facts.cost));
    if (Date.now() - message.beat > SAVE_EVERY_MS) this.save(message);
    message.frame ??= requestAnimationFrame(() => {
      message.frame = undefined;
      this.show(message);
    });
  }

  end(message, error) {
    if (error.name === "AbortError") {
      message.state = "stopped";
      return;
    }
    const known = error instanceof Refused;
    if (!known) console.error(error);
    message.state = message.text ? "broken" : "failed";
    message.call = message.call ?? error.call;
    message.error = known
      ? { message: error.message, action: error.action }
      : { message: "This page did not understand the answer. Reload it and try again." };
  }

  // Looks up what is left, and what a call cost whose end was not seen.
  async settle(message) {
    if (!message.call || !["done", "stopped", "broken"].includes(message.state)) return;
    message.settling = message.cost === undefined;
    this.show(message);
    const found = await settled(message.call);
    message.settling = false;
    if (found) balance(found);
    if (found && message.cost === undefined) {
      message.cost = found.cost;
      message.provider ??= found.provider;
      message.tokens ??= { in: found.prompt_tokens, out: found.completion_tokens };
      await this.store.change("messages", message.id, (kept) => Object.assign(kept, plain(message)));
    }
    this.show(message);
    this.sum();
  }

  show(message) {
    const element = this.log.querySelector(`[data-id="${message.id}"]`);
    if (!element || message.conversation !== this.conversation) return;
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    update(element, message, this.acts);
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  announce(message) {
    $("chat-said").textContent = message.error ? "" : message.state === "stopped" ? "The answer was stopped." : "The answer is complete.";
  }

  stop(id = this.conversation) {
    this.running.get(id)?.control.abort();
  }

  async save(message) {
    message.beat = Date.now();
    await this.store.putMessage(plain(message));
    await this.store.change("conversations", message.conversation, (one) => {
      one.updated = Date.now();
    });
    this.tell(message.conversation);
  }

  // --- other tabs

  tell(conversation) {
    this.tabs?.postMessage({ conversation });
  }

  async heard({ conversation, wiped }) {
    if (wiped) {
      for (const id of this.running.keys()) this.stop(id);
      await this.open(null);
      return;
    }
    await this.list();
    if (conversation !== this.conversation || this.running.has(conversation)) return;
    // Somebody who writes here is not interrupted.
    if (this.log.querySelector("form")) return;
    if (await this.store.get("conversations", conversation)) await this.reload();
    else await this.open(null);
  }

  // --- everything at once

  async export() {
    const conversations = await this.store.conversations(this.org);
    for (const one of conversations) {
      one.messages = (await this.store.messages(one.id)).map(({ beat, conversation, ...message }) => message);
    }
    const whole = { format: "farebox-chat", version: 1, exported: new Date().toISOString(), conversations };
    const address = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
    const way = make("a");
    way.href = address;
    way.download = `farebox-chat-${new Date().toISOString().slice(0, 10)}.json`;
    way.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  async wipe() {
    for (const id of this.running.keys()) this.stop(id);
    await this.store.wipe();
    this.tabs?.postMessage({ wiped: true });
    $("chat-wipe").close();
    await this.open(null);
    $("chat-said").textContent = "All conversations are deleted.";
    $("chat-text").focus();
  }

  // --- the form

  async addImages(files) {
    for (const file of files) {
      if (this.draft.length >= images.MOST) {
        this.wrong(`A message can have ${images.MOST} images at most.`);
        break;
      }
      try {
        this.draft.push(await images.load(file));
        this.wrong("");
      } catch (error) {
        this.wrong(error.message);
      }
    }
    this.drawDraft();
  }

  drawDraft() {
    $("chat-images").replaceChildren(...this.draft.map((source, at) => {
      const picture = make("img");
      picture.src = source;
      picture.alt = `Image ${at + 1} to be sent`;
      const drop = button(`Remove image ${at + 1}`, "x", () => {
        this.draft.splice(at, 1);
        this.drawDraft();
      }, { only: true, quiet: false });
      return make("li", "", picture, drop);
    }));
  }

  wrong(text) {
    $("chat-wrong").hidden = !text;
    $("chat-wrong").querySelector("span").textContent = text;
  }

  buttons() {
    const running = this.running.has(this.conversation);
    $("chat-stop").hidden = !running;
    $("chat-send").hidden = running;
  }

  modelChanged() {
    remember("model", $("chat-model").value);
  }

  drawer(open) {
    this.root.toggleAttribute("data-drawer", open);
    $("chat-drawer").setAttribute("aria-expanded", String(open));
  }
}

const chosen = () => $("chat-model").selectedOptions[0];
const sees = () => chosen().hasAttribute("data-images");
const option = (value) => [...$("chat-model").options].find((one) => one.value === value);

// A message without what only this page knows.
function plain({ frame, settling, ...message }) {
  return message;
}

function listen(room) {
  const form = $("chat-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    room.send();
  });
  $("chat-text").addEventListener("input", grow);
  $("chat-text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    room.send();
  });
  $("chat-text").addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length === 0) return;
    event.preventDefault();
    room.addImages(files);
  });
  $("chat-files").addEventListener("change", (event) => {
    room.addImages([...event.target.files]);
    event.target.value = "";
  });
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.toggleAttribute("data-over", true);
  });
  form.addEventListener("dragleave", () => form.removeAttribute("data-over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.removeAttribute("data-over");
    room.addImages([...event.dataTransfer.files]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) room.stop();
  });
  document.addEventListener("click", (event) => {
    const from = event.target.closest("[data-copy-code]");
    if (from) copy(from.closest(".code").querySelector("code").textContent, from);
  });
  $("chat-stop").addEventListener("click", () => room.stop());
  $("chat-new").addEventListener("click", async () => {
    await room.open(null);
    room.drawer(false);
    $("chat-text").focus();
  });
  $("chat-model").addEventListener("change", () => room.modelChanged());
  $("chat-export").addEventListener("click", () => room.export());
  $("chat-wipe-now").addEventListener("click", () => room.wipe());
  $("chat-drawer").addEventListener("click", () => room.drawer(!room.root.hasAttribute("data-drawer")));
  window.addEventListener("hashchange", () => {
    const id = location.hash.slice(1);
    if (id && id !== room.conversation) room.open(id);
  });
}

const root = $("chat");
if (root) new Room(root, await Store.open(root.dataset.scope)).start();
