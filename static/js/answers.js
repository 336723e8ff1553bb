// What was asked for in the background and did not come is said where a page says what has happened. Pages that ask by themselves
// stay quiet: they ask again, and poll.js looks after them.
import { pollsItself } from "./poll.js";

const DOORS = ["/sign-in", "/step-up", "/account/leaving"];
let told;

function tell(text) {
  const sample = document.querySelector("template[data-told]");
  if (!sample) return;
  if (!told?.isConnected) {
    told = sample.content.firstElementChild.cloneNode(true);
    sample.before(told);
  }
  // Into an element that is there already, and anew each time, so that it is read out again.
  const line = told.querySelector("p");
  line.textContent = "";
  requestAnimationFrame(() => {
    line.textContent = text;
    told.scrollIntoView({ block: "nearest" });
  });
}

// Our own pages of errors say in a sentence what was not done.
function reason(xhr) {
  const page = new DOMParser().parseFromString(xhr.responseText || "", "text/html");
  const said = page.querySelector("[data-reason]")?.textContent.trim();
  if (said) return said;
  if (xhr.status >= 500) return "The server could not do that just now, so nothing was done. Try again in a moment.";
  return "That was not accepted, so nothing was done. Reload the page and try again.";
}

document.addEventListener("htmx:responseError", (event) => {
  if (!pollsItself(event.detail.elt)) tell(reason(event.detail.xhr));
});

document.addEventListener("htmx:sendError", (event) => {
  if (!pollsItself(event.detail.elt)) tell("The server cannot be reached, so nothing was done. Look at your connection and try again.");
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (xhr.status < 400 && !pollsItself(requestConfig.elt)) told?.remove();
  if (!xhr.responseURL || !DOORS.includes(new URL(xhr.responseURL).pathname)) return;
  event.detail.shouldSwap = false;
  // Signed out meanwhile. What was typed is here only, so it stays until whoever typed it has taken it along.
  if (requestConfig.elt.closest("form[method=post]")) {
    tell("You were signed out, so nothing of this is saved. Copy what you need, then reload the page.");
    return;
  }
  // Loading the page anew leads to the door, and from there back here.
  location.reload();
});
