// Conversations, in the browser's own database. Each message is a record of its own, so that two tabs that write at once
// do not overwrite each other. Where the browser keeps nothing, memory stands in until the tab is closed.
const STORES = ["conversations", "messages"];

// Sorts by the time at which it was made.
export function freshId() {
  const random = crypto.getRandomValues(new Uint8Array(10));
  const noise = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${Date.now().toString(36).padStart(9, "0")}-${noise}`;
}

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

function open(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    const base = request.result;
    base.createObjectStore("conversations", { keyPath: "id" }).createIndex("org", "org");
    base.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversation");
  };
  return promised(request);
}

export class Store {
  // `lasting` is false where nothing outlives the tab.
  static async open(scope) {
    try {
      return new Store(await open(`farebox-chat-${scope}`));
    } catch {
      return new Store(null);
    }
  }

  constructor(base) {
    this.base = base;
    this.lasting = base !== null;
    this.memory = Object.fromEntries(STORES.map((name) => [name, new Map()]));
  }

  async get(name, id) {
    if (!this.base) return structuredClone(this.memory[name].get(id));
    return promised(this.base.transaction(name).objectStore(name).get(id));
  }

  async put(name, ...records) {
    if (!this.base) {
      for (const record of records) this.memory[name].set(record.id, structuredClone(record));
      return;
    }
    const transaction = this.base.transaction(name, "readwrite");
    for (const record of records) transaction.objectStore(name).put(record);
    await finished(transaction);
  }

  // Writes a message into a conversation that is there. Nothing where it was deleted meanwhile, also in another tab.
  async putMessage(message) {
    const { conversation } = message;
    if (!this.base) {
      if (this.memory.conversations.has(conversation)) this.memory.messages.set(message.id, structuredClone(message));
      return;
    }
    const transaction = this.base.transaction(STORES, "readwrite");
    if (await promised(transaction.objectStore("conversations").get(conversation))) {
      transaction.objectStore("messages").put(message);
    }
    await finished(transaction);
  }

  // Changes a record as it stands now, whoever wrote it last. Nothing where it is gone.
  async change(name, id, change) {
    if (!this.base) {
      const record = this.memory[name].get(id);
      if (record) change(record);
      return;
    }
    const transaction = this.base.transaction(name, "readwrite");
    const records = transaction.objectStore(name);
    const record = await promised(records.get(id));
    if (record) {
      change(record);
      records.put(record);
    }
    await finished(transaction);
  }

  async drop(name, ...ids) {
    if (!this.base) {
      for (const id of ids) this.memory[name].delete(id);
      return;
    }
    const transaction = this.base.transaction(name, "readwrite");
    for (const id of ids) transaction.objectStore(name).delete(id);
    await finished(transaction);
  }

  async by(name, index, value) {
    if (!this.base) {
      const found = [...this.memory[name].values()].filter((record) => record[index] === value);
      return structuredClone(found).sort((one, other) => (one.id < other.id ? -1 : 1));
    }
    return promised(this.base.transaction(name).objectStore(name).index(index).getAll(value));
  }

  conversations(org) {
    return this.by("conversations", "org", org);
  }

  messages(conversation) {
    return this.by("messages", "conversation", conversation);
  }

  async forget(conversation) {
    const messages = await this.messages(conversation);
    await this.drop("messages", ...messages.map((message) => message.id));
    await this.drop("conversations", conversation);
  }

  // Everything of this person, of all organizations.
  async wipe() {
    if (!this.base) {
      for (const records of Object.values(this.memory)) records.clear();
      return;
    }
    const transaction = this.base.transaction(STORES, "readwrite");
    for (const name of STORES) transaction.objectStore(name).clear();
    await finished(transaction);
  }
}
