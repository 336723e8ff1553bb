// A link with `data-drawer` opens its page in a drawer beside the list, which stays where it is. With a modifier key, another
// button, or where anything goes wrong, it is a link. The address is that of what is open, so that it can be sent on and loaded
// anew, and going back closes the drawer.
const drawer = document.getElementById("drawer");
const address = () => location.pathname + location.search;
const own = address();
const ownPath = location.pathname;
let asked = 0;

async function open(href, known) {
  asked += 1;
  const mine = asked;
  try {
    const answer = await fetch(href, { headers: { "HX-Request": "true" } });
    if (!answer.ok || new URL(answer.url).pathname !== new URL(href).pathname) throw new Error(answer.status);
    const text = await answer.text();
    // Another one was opened meanwhile, or this one was left.
    if (mine !== asked) return;
    drawer.innerHTML = text;
    for (const button of drawer.querySelectorAll("[data-copy]")) button.hidden = false;
    drawer.removeAttribute("aria-label");
    drawer.setAttribute("aria-labelledby", "drawer-title");
    if (!known) history.pushState({ drawer: true }, "", href);
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
  } catch {
    if (mine === asked) location.assign(href);
  }
}

if (drawer instanceof HTMLDialogElement) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-drawer]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (link && plain && !event.defaultPrevented) {
      event.preventDefault();
      open(link.href, false);
    } else if (event.target === drawer) {
      drawer.close();
    }
  });
  drawer.addEventListener("close", () => { if (address() !== own) history.back(); });
}

addEventListener("popstate", (event) => {
  asked += 1;
  if (address() === own) {
    if (drawer?.open) drawer.close();
  } else if (drawer && event.state?.drawer) {
    open(location.href, true);
  } else if (location.pathname !== ownPath) {
    // This page is not the one of that address: it was loaded where a drawer had been open.
    location.reload();
  }
});
