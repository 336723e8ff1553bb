// Everything here is comfort: each page does its work without it.
import "./answers.js";
import "./back.js";
import "./bulk.js";
import "./copy.js";
import "./dialog.js";
import "./drawer.js";
import "./menu.js";
import "./nav.js";
import "./palette.js";
import "./passkey.js";
import "./poll.js";
import "./reveal.js";
import "./tabs.js";
import "./sort.js";
import "./time.js";
import "./quote.js";
