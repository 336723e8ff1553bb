// Pages that ask again by themselves: nobody is asked from a hidden tab, and an answer that is another page is not put into this one.
const pollsItself = (element) => element?.getAttribute?.("hx-trigger")?.startsWith("every ");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && pollsItself(event.detail.elt)) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, elt } = event.detail;
  if (!xhr.responseURL || !pollsItself(elt)) return;
  if (new URL(xhr.responseURL).pathname === location.pathname) {
    // Still waiting: leave the page as it is, with the chosen tab, the focus and any selected text.
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    if (pollsItself(page.getElementById(elt.id))) event.detail.shouldSwap = false;
    return;
  }
  // Signed out meanwhile: loading the page anew leads to the sign-in page, and from there back here.
  event.detail.shouldSwap = false;
  location.reload();
});
