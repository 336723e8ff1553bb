//! The chat room in a real browser: what is written, what an attacker writes, and what stays where.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use crate::support::fake_upstream::Behaviour;
use crate::support::routes::Routes;

/// A long answer with everything that Markdown has.
const RICH: &str = r#"# The quarterly report

A paragraph with **weight**, *slant*, ~~regret~~, `code` and [a link](https://example.com/report).

| Quarter | Spend | Calls |
|:--------|------:|:-----:|
| First   | $12.40 | 1,204 |
| Second  | $0.000123 | 7 |

```rust
fn main() {
    println!("a line that is much longer than any narrow window is wide, so that it has to scroll and must not widen the page");
}
```

1. First
2. Second
   - nested, with `code`
   - [x] done

> A quotation
> of two lines.

مرحبا، هذا نص عربي طويل بما يكفي ليظهر من اليمين إلى اليسار.

שלום עולם"#;

/// What must not run, load or lead anywhere.
const ATTACK: &str = r#"<img src=x onerror="window.owned=1"><script>window.owned=2</script>

[click](javascript:window.owned=3) [data](data:text/html,<script>window.owned=4</script>) ![pixel](https://evil.example/pixel.png)

<a href="javascript:window.owned=5" onclick="window.owned=6">raw</a> <svg onload="window.owned=7"></svg>
<iframe srcdoc="<script>parent.owned=8</script>"></iframe><style>body{display:none}</style>
<form action="/sign-out" method="post"><button>free credits</button></form>

[relative](/sign-out) <math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.owned=9&gt;">

```html
<img src=x onerror="window.owned=10">
```"#;

fn says(routes: &Routes, text: &str) {
    routes.upstream.behave("alpha-chat", Behaviour::Ok { prompt: 10, completion: 400, text: text.to_owned() });
}

async fn signed_in(routes: &Routes) -> Browser {
    let browser = Browser::start(&routes.farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(routes.ada().cookies()).await;
    browser
}

async fn send(browser: &Browser, text: &str) {
    browser.fill("#chat-text", text).await;
    browser.click("#chat-send").await;
}

/// Waits until so many answers are complete.
async fn answered(browser: &Browser, count: usize) {
    let done = format!("document.querySelectorAll('.turn.assistant[aria-busy=false]').length === {count}");
    browser.holds(&done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_held_kept_and_deleted() {
    let routes = Routes::localhost().await;
    routes.set(&mut routes.ada(), &[("sort", "price"), ("default_model", "lab/chat")]).await;
    says(&routes, RICH);
    let browser = signed_in(&routes).await;
    let mut inspector = Inspector::new(&browser);
    browser.open("/chat").await;
    browser.shows("Say something").await;
    inspector.look("chat-empty").await;
    send(
        &browser,
        "Write me the quarterly report, please, with a table, code and two languages that run the other way.",
    )
    .await;
    answered(&browser, 1).await;
    browser.shows("The quarterly report").await;
    inspector.look("chat").await;
    // Blocks are elements, and a text that runs from right to left does.
    for there in [
        ".written h1",
        ".written table td[align=right]",
        ".written .code code",
        ".written ol ul",
        ".written blockquote",
        ".written a[href='https://example.com/report'][rel~=noopener]",
    ] {
        browser.find(there).await;
    }
    let right =
        "[...document.querySelectorAll('.written .block')].filter(b => getComputedStyle(b).direction === 'rtl').length";
    assert_eq!(browser.value(right).await, 2);
    // What it cost stands below it and above all, to the last digit.
    routes.farebox.holds_are_closed().await;
    let cost = routes.farebox.text("select trim(trailing '0' from cost::text) from usage").await;
    assert_eq!(browser.value("document.querySelector('.turn-cost').title").await, format!("${cost}"));
    browser.shows("so far").await;

    // Tried again: another call, and the first one's cost stays in the sum.
    says(&routes, "A shorter one.");
    browser.click(".turn.assistant .turn-foot button:nth-of-type(2)").await;
    browser.shows("A shorter one.").await;
    answered(&browser, 1).await;
    routes.farebox.holds_are_closed().await;
    let sum = routes.farebox.text("select trim(trailing '0' from sum(cost)::text) from usage").await;
    browser.holds(&format!("document.querySelector('#chat-sum').title.startsWith('${sum},')")).await;

    // Edited: what follows is asked anew, with what was changed.
    browser.press("Edit").await;
    browser.fill(".turn-edit textarea", "Only the title.").await;
    inspector.look("chat-edit").await;
    says(&routes, "The quarterly report, and nothing else.");
    browser.press("Send again").await;
    browser.shows("and nothing else.").await;
    answered(&browser, 1).await;
    assert_eq!(routes.sent()["messages"], json!([{ "role": "user", "content": "Only the title." }]));

    // The next message knows the ones before it.
    send(&browser, "And now?").await;
    answered(&browser, 2).await;
    assert_eq!(routes.sent()["messages"].as_array().map(Vec::len), Some(3));
    browser.click("#chat-new").await;
    browser.shows("Say something").await;
    send(&browser, "Another conversation").await;
    answered(&browser, 1).await;
    browser.holds("document.querySelectorAll('#chat-list li').length === 2").await;

    // Kept by the browser, and by nobody else.
    browser.web.refresh().await.expect("a page");
    browser.shows("Another conversation").await;
    browser.click("#chat-list li:nth-child(2) .chat-open").await;
    browser.shows("Only the title.").await;
    assert_eq!(
        routes.farebox.text("select count(*)::text from usage where usage::text like '%Only the title%'").await,
        "0"
    );
    // Exported: the file that would be saved has all of it.
    let catch = "(() => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved = blob; return make.call(URL, blob); };
        document.getElementById('chat-export').click(); return true; })()";
    browser.value(catch).await;
    browser.holds("window.saved !== undefined").await;
    let text =
        browser.web.execute_async("const done = arguments[0]; window.saved.text().then(done);", Vec::new()).await;
    let text = text.expect("a text").json().as_str().unwrap_or_default().to_owned();
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["conversations"].as_array().map(Vec::len), Some(2), "{whole}");
    assert!(text.contains("Only the title.") && text.contains("and nothing else."), "{text}");
    // Deleted.
    browser.click("[data-dialog=chat-wipe]").await;
    browser.shows("Delete all conversations?").await;
    inspector.look("chat-wipe").await;
    browser.click("#chat-wipe-now").await;
    browser.shows("Say something").await;
    browser.web.refresh().await.expect("a page");
    browser.shows("None yet.").await;
    inspector.verdict();
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_model_writes_runs_nothing_and_loads_nothing() {
    let routes = Routes::localhost().await;
    routes.set(&mut routes.ada(), &[("sort", "price"), ("default_model", "lab/chat")]).await;
    says(&routes, ATTACK);
    let browser = signed_in(&routes).await;
    browser.open("/chat").await;
    browser.shows("Say something").await;
    // What a person writes is no Markdown at all.
    send(&browser, "<img src=x onerror='window.owned=11'> **not bold**").await;
    answered(&browser, 1).await;
    browser.shows("<img src=x onerror=\"window.owned=1\">").await;
    let log = "document.getElementById('chat-log')";
    for (what, css) in [
        (
            "an element that may not be there",
            "img, script, svg:not(.icon), iframe, style, form, math, input, object, embed",
        ),
        ("a handler", "[onerror], [onclick], [onload], [style], [srcdoc]"),
        ("an address that is none", "a[href]:not([href^='https://']):not([href^='/activity/'])"),
    ] {
        let found = browser.value(&format!("[...{log}.querySelectorAll(\"{css}\")].map(e => e.outerHTML)")).await;
        assert_eq!(found, json!([]), "{what}");
    }
    assert_eq!(browser.value(&format!("{log}.querySelectorAll('strong').length")).await, 0);
    // What led nowhere good is a text, and no link any more.
    let links = format!("[...{log}.querySelectorAll('.written a')].map(a => a.textContent)");
    assert_eq!(browser.value(&links).await, json!(["pixel"]));
    browser.shows("click data pixel").await;
    // The picture is a link that is not followed by itself.
    assert_eq!(
        browser.value(&format!("{log}.querySelector('a[href=\"https://evil.example/pixel.png\"]').textContent")).await,
        "pixel"
    );
    assert_eq!(browser.value("window.owned === undefined").await, true, "a script of an answer ran");
    assert_eq!(browser.path().await.split('#').next(), Some("/chat"));
    assert_eq!(browser.errors().await, Vec::<String>::new(), "the policy had nothing to stop");
    let mut inspector = Inspector::new(&browser);
    inspector.look("chat-attack").await;
    inspector.verdict();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_stopped_and_an_error_says_what_to_do() {
    let routes = Routes::localhost().await;
    routes.set(&mut routes.ada(), &[("sort", "price"), ("default_model", "lab/chat")]).await;
    routes.upstream.behave("alpha-chat", Behaviour::Slow { chunks: 200, ms_per_chunk: 60 });
    let browser = signed_in(&routes).await;
    let mut inspector = Inspector::new(&browser);
    browser.open("/chat").await;
    browser.shows("Say something").await;
    send(&browser, "Count for a long time").await;
    browser.shows("tick tick tick").await;
    browser.click("#chat-stop").await;
    browser.shows("Stopped").await;
    // What was produced until then was charged, and the page finds out.
    browser.find(".turn-cost").await;
    routes.farebox.holds_are_closed().await;
    let cost = routes.farebox.text("select trim(trailing '0' from cost::text) from usage").await;
    assert_eq!(browser.value("document.querySelector('.turn-cost').title").await, format!("${cost}"));
    inspector.look("chat-stopped").await;

    // A second tab sees it, and what it writes is seen here.
    let first = browser.web.window().await.expect("a window");
    let second = browser.web.new_tab().await.expect("a tab");
    let address = browser.web.current_url().await.expect("an address");
    browser.web.switch_to_window(second).await.expect("a window");
    browser.open(address.as_str()).await;
    browser.shows("tick tick tick").await;
    routes.works("alpha-chat");
    send(&browser, "From the second tab").await;
    browser.shows("Hello from the fake upstream.").await;
    answered(&browser, 2).await;
    browser.web.close_window().await.expect("closed");
    browser.web.switch_to_window(first).await.expect("a window");
    browser.shows("From the second tab").await;
    browser.shows("Hello from the fake upstream.").await;

    // Signed out elsewhere: nothing is lost, and the sentence leads back.
    routes.upstream.behave("alpha-chat", Behaviour::Status { status: 500, retry_after: None });
    routes.upstream.behave("beta-chat", Behaviour::Status { status: 500, retry_after: None });
    routes.upstream.behave("gamma-chat", Behaviour::Status { status: 500, retry_after: None });
    send(&browser, "Is anybody there?").await;
    browser.shows("failed, and nothing was charged.").await;
    inspector.look("error-chat-failed").await;
    for model in ["alpha-chat", "beta-chat", "gamma-chat"] {
        routes.works(model);
    }
    assert_eq!(routes.ada().submit("/settings/profile", "/sign-out", &[]).await.status, 303);
    browser.click(".flash .button:last-child").await;
    browser.shows("You are signed out, so this was not sent.").await;
    inspector.look("error-chat-signed-out").await;
    browser.press("Sign in").await;
    browser.fill("#email", crate::support::routes::EMAIL).await;
    browser.fill("#password", crate::support::routes::PASSWORD).await;
    browser.click("main form button[type=submit]").await;
    browser.shows("Count for a long time").await;
    browser.click("#chat-list li:first-child .chat-open").await;
    browser.shows("Is anybody there?").await;
    browser.click(".flash .button:last-child").await;
    answered(&browser, 3).await;
    inspector.verdict();
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_sent_to_models_that_take_them() {
    let routes = Routes::localhost().await;
    routes.set(&mut routes.ada(), &[("default_model", "lab/chat")]).await;
    let sees = sqlx::query("update model set input_modalities = '{text,image}' where slug = 'lab/other'");
    sees.execute(&routes.farebox.pool).await.expect("changed");
    let browser = signed_in(&routes).await;
    // The catalog is read again within a moment.
    for _ in 0..100 {
        browser.open("/chat").await;
        if browser.value("document.querySelector('option[value=\"lab/other\"]').hasAttribute('data-images')").await
            == true
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    browser.shows("Say something").await;
    let attach = "(() => { const canvas = document.createElement('canvas'); canvas.width = 3000; canvas.height = 20;
        canvas.getContext('2d').fillRect(0, 0, 9, 9);
        return canvas.toBlob((blob) => { const data = new DataTransfer(); data.items.add(new File([blob], 'wide.png', { type: 'image/png' }));
            const input = document.getElementById('chat-files'); input.files = data.files; input.dispatchEvent(new Event('change')); }) ?? true; })()";
    browser.value(attach).await;
    browser.find("#chat-images img").await;
    send(&browser, "What is this?").await;
    browser.shows("lab/chat takes no images. Remove them, or choose a model that does.").await;
    browser.click("#chat-model option[value='lab/other']").await;
    browser.click("#chat-send").await;
    answered(&browser, 1).await;
    let parts = routes.sent()["messages"][0]["content"].clone();
    assert_eq!(parts[0], json!({ "type": "text", "text": "What is this?" }));
    let url = parts[1]["image_url"]["url"].as_str().unwrap_or_default().to_owned();
    assert!(url.starts_with("data:image/jpeg;base64,"), "a wide picture is made smaller: {url:.60}");
    assert_eq!(browser.value("document.querySelector('.turn-images img').naturalWidth").await, 2048);
    // What is no image is refused in words.
    let wrong = "(() => { const data = new DataTransfer(); data.items.add(new File(['<svg/>'], 'evil.svg', { type: 'image/svg+xml' }));
        const input = document.getElementById('chat-files'); input.files = data.files; input.dispatchEvent(new Event('change')); return true; })()";
    browser.value(wrong).await;
    browser.shows("evil.svg is no PNG, JPEG, WebP or GIF image, so it was not added.").await;
    let mut inspector = Inspector::new(&browser);
    inspector.look("chat-image").await;
    inspector.verdict();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_found_compared_and_chosen_by_hand() {
    let routes = Routes::localhost().await;
    let browser = signed_in(&routes).await;
    let mut inspector = Inspector::new(&browser);
    let answer =
        routes.farebox.chat(&routes.key, "lab/chat", "hi", json!({ "provider": { "order": ["alpha"] } })).await;
    assert_eq!(answer.status(), 200);
    browser.open("/models").await;
    // What is read out stays where it is, and says something else.
    let said = "document.querySelector('#models-said[role=status]')";
    browser.value(&format!("{said}.dataset.same = 'yes'")).await;
    browser.fill("#q", "lab").await;
    browser.holds("document.querySelectorAll('#models tbody tr').length === 2").await;
    browser.holds(&format!("{said}.dataset.same === 'yes' && {said}.textContent.startsWith('2 models')")).await;
    browser.holds("location.search === '?q=lab'").await;
    browser.click("[id='compare-lab/chat']").await;
    browser.shows("Choose one more, up to four.").await;
    browser.click("[id='compare-lab/other']").await;
    browser.shows("Compare 2").await;
    inspector.look("models-ticked").await;
    browser.press("Compare 2").await;
    browser.shows("10K tokens in, 1K out").await;
    inspector.look("models-compare").await;
    // On a phone all of it is in sight: nothing within scrolls sideways.
    browser.width(360).await;
    let wide = browser.value("[...document.querySelectorAll('.table-wrap, .compare td, .compare th')].filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).clipPath === 'none').length").await;
    assert_eq!(wide, 0, "the comparison fits a phone");
    browser.width(1280).await;
    inspector.visit("models-compare-none", "/models/compare").await;
    browser.open("/models/lab/chat").await;
    browser.press("Use as default").await;
    browser.shows("lab/chat is the default model now.").await;
    inspector.look("model-default").await;
    browser.press("Chat").await;
    browser.holds("document.getElementById('chat-model')?.value === 'lab/chat'").await;
    inspector.verdict();
}

/// Messages above the room take from the conversation, never from the place to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_to_write_stays_in_sight_under_messages() {
    let routes = Routes::localhost().await;
    let browser = Browser::start(&routes.farebox.base).await;
    browser.open("/sign-in").await;
    let mut ada = routes.ada();
    browser.take_cookies(ada.cookies()).await;
    let stopped = ada.submit("/keys/stop", "/keys/stop", &[]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.body);
    let mut inspector = Inspector::new(&browser);
    browser.open("/chat").await;
    browser.shows("are stopped since").await;
    for (width, height) in [(1280, 720), (1000, 700), (700, 700), (360, 640)] {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let place = browser.value("(() => { const box = document.getElementById('chat-send').getBoundingClientRect(); return [box.bottom, innerHeight, document.documentElement.scrollHeight]; })()").await;
        let place: Vec<f64> = place.as_array().expect("numbers").iter().filter_map(serde_json::Value::as_f64).collect();
        assert!(place[0] > 0.0 && place[0] <= place[1] && place[2] <= place[1] + 1.0, "{width}: {place:?}");
    }
    inspector.look("chat-under-messages").await;
    inspector.verdict();
}
