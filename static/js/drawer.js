// A link with `data-drawer` opens its page in a drawer beside the list, which stays where it is. With a modifier key, another
// button, or where anything goes wrong, it is a link.
const drawer = document.getElementById("drawer");

async function open(link) {
  try {
    const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok || new URL(answer.url).pathname !== new URL(link.href).pathname) throw new Error(answer.status);
    drawer.innerHTML = await answer.text();
    for (const button of drawer.querySelectorAll("[data-copy]")) button.hidden = false;
    drawer.showModal();
    drawer.scrollTop = 0;
  } catch {
    location.assign(link.href);
  }
}

if (drawer instanceof HTMLDialogElement) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-drawer]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (link && plain && !event.defaultPrevented) {
      event.preventDefault();
      open(link);
    } else if (event.target === drawer) {
      drawer.close();
    }
  });
}
