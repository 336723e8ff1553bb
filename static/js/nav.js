// The page that one is on is in sight, in a sidebar or a bar of tabs that is longer than its room.
const nav = document.querySelector(".side > .nav");
const here = nav?.querySelector("[aria-current]");
if (here) {
  const [room, link] = [nav.getBoundingClientRect(), here.getBoundingClientRect()];
  if (link.bottom > room.bottom || link.right > room.right) {
    nav.scrollBy(link.left - room.left - (room.width - link.width) / 2, link.top - room.top - (room.height - link.height) / 2);
  }
}
