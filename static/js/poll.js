// Pages that ask again by themselves: nobody is asked from a hidden tab, and an answer that is another page is not put into this one.
// A page that is left open stops asking after a while, says so, and asks again when somebody comes back to it.
const ASKS_FOR_MS = 10 * 60 * 1000;
let since = Date.now();
export const pollsItself = (element) => element?.getAttribute?.("hx-trigger")?.startsWith("every ");

function say(over) {
  for (const line of document.querySelectorAll("[data-poll-over]")) line.hidden = !over;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  since = Date.now();
  say(false);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!pollsItself(event.detail.elt)) return;
  const over = Date.now() - since > ASKS_FOR_MS;
  if (over) say(true);
  if (over || document.hidden) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, elt } = event.detail;
  if (!xhr.responseURL || !pollsItself(elt)) return;
  const part = new URL(elt.getAttribute("hx-get") || "", location.href).pathname;
  const answered = new URL(xhr.responseURL).pathname;
  // A piece of the page, such as how much is new: it goes where it belongs.
  if (part !== location.pathname && answered === part) return;
  if (answered === location.pathname) {
    // Still waiting, and nothing new: leave the page as it is, with the chosen tab, the focus and any selected text.
    const next = new DOMParser().parseFromString(xhr.responseText, "text/html").getElementById(elt.id);
    const says = (part) => part.querySelector("h2")?.textContent;
    if (pollsItself(next) && says(next) === says(elt)) event.detail.shouldSwap = false;
    return;
  }
  // Signed out meanwhile: loading the page anew leads to the sign-in page, and from there back here.
  event.detail.shouldSwap = false;
  location.reload();
});
