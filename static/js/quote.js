// Fetches the fee and total again when the amount or the method of a top-up changes. The server computes; this only asks.
const form = document.querySelector("form[data-quote]");
const slot = document.querySelector("[data-quote-slot]");
if (form && slot) {
  const WAIT_MS = 250;
  let timer;
  let running;
  const ask = async () => {
    running?.abort();
    running = new AbortController();
    const data = new URLSearchParams({ amount: form.elements.amount.value, method: form.elements.method.value });
    try {
      const answer = await fetch(`${form.dataset.quote}?${data}`, { signal: running.signal, headers: { "HX-Request": "true" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-quote-slot]");
      if (fresh) slot.replaceChildren(...fresh.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") console.warn("quote not refreshed", error.message);
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
}
