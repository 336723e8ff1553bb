// Fetches the fee and total again when the amount or the method of a top-up changes. The server computes; this only asks.
// What is wrong with an amount is said once it is entered, not while it is being typed.
const form = document.querySelector("form[data-quote]");
const slot = document.querySelector("[data-quote-slot]");
if (form && slot) {
  const WAIT_MS = 250;
  let timer;
  let running;
  const said = document.querySelector("[data-quote-said]");
  // Fee and total, or why there is none, in one line for whoever does not see them change.
  const say = (problem) => {
    const words = (part) => [...part.children].map((word) => word.textContent.trim()).join(" ");
    const sum = [...slot.querySelectorAll(".sum > div")].map(words).join(", ");
    const news = problem?.textContent.trim() || sum || slot.querySelector("p")?.textContent.trim() || "";
    if (said && said.textContent !== news) said.textContent = news;
  };
  const showProblem = (page) => {
    const field = form.elements.amount.closest(".field");
    const fresh = page.querySelector("#amount")?.closest(".field");
    field.querySelector(".error-text")?.remove();
    const problem = fresh?.querySelector(".error-text");
    if (problem) field.append(problem);
    for (const name of ["aria-invalid", "aria-describedby"]) {
      const value = fresh?.querySelector("#amount").getAttribute(name);
      if (value) form.elements.amount.setAttribute(name, value);
      else form.elements.amount.removeAttribute(name);
    }
  };
  const ask = async (entered) => {
    running?.abort();
    running = new AbortController();
    const data = new URLSearchParams({ amount: form.elements.amount.value, method: form.elements.method.value });
    if (form.elements.save?.checked) data.set("save", "1");
    try {
      const answer = await fetch(`${form.dataset.quote}?${data}`, { signal: running.signal, headers: { "HX-Request": "true" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-quote-slot]");
      // The same button stays where it is, so that a click on it that has begun is not lost.
      if (fresh && fresh.innerHTML !== slot.innerHTML) slot.replaceChildren(...fresh.childNodes);
      const problem = page.querySelector("form[data-quote] .error-text");
      if (!entered && problem) return;
      say(problem);
      showProblem(page);
    } catch (error) {
      if (error.name !== "AbortError") console.warn("quote not refreshed", error.message);
    }
  };
  form.addEventListener("input", (event) => {
    // Keeping a card costs nothing, and asking would put another button under the hand that goes on to it.
    if (event.target.name === "save") return;
    clearTimeout(timer);
    timer = setTimeout(() => ask(false), WAIT_MS);
  });
  form.elements.amount.addEventListener("change", () => {
    clearTimeout(timer);
    ask(true);
  });
}
