//! A person's picture: what was uploaded is made anew, and nothing else is ever stored or sent on.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, team};

fn jpeg() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let picture = RgbImage::from_pixel(300, 200, Rgb([10, 120, 200]));
    DynamicImage::ImageRgb8(picture).write_to(&mut out, ImageFormat::Jpeg).expect("a picture");
    out.into_inner()
}

async fn upload(visitor: &mut Visitor<'_>, farebox: &Farebox, token: &str, boundary: &str, file: &[u8]) -> Page {
    upload_to(visitor, farebox, "/settings/picture", token, boundary, file).await
}

async fn upload_to(
    visitor: &mut Visitor<'_>,
    farebox: &Farebox,
    action: &str,
    token: &str,
    boundary: &str,
    file: &[u8],
) -> Page {
    let mut body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"csrf_token\"\r\n\r\n{token}\r\n--{boundary}\r\n\
         content-disposition: form-data; name=\"picture\"; filename=\"../../etc/passwd\"\r\ncontent-type: image/jpeg\r\n\r\n"
    )
    .into_bytes();
    body.extend(file);
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    let request = farebox
        .http
        .post(farebox.url(action))
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(body);
    visitor.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_made_anew_shown_and_removed() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let token = ada.token("/settings/profile").await;
    let saved = upload(&mut ada, &farebox, &token, "b", &jpeg()).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, "/settings/profile"), "{}", saved.body);
    let page = ada.get("/keys").await;
    let path = between(&page.body, "src=\"/pictures/", "\"");
    let path = format!("/pictures/{path}");
    let cookies: Vec<String> = ada.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let answer =
        farebox.http.get(farebox.url(&path)).header("cookie", cookies.join("; ")).send().await.expect("a picture");
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let png = answer.bytes().await.expect("bytes");
    let shown = image::load_from_memory_with_format(&png, ImageFormat::Png).expect("a PNG");
    assert_eq!((shown.width(), shown.height()), (160, 160));
    assert!(Visitor::new(&farebox).get(&path).await.location.starts_with("/sign-in"));

    // Another one takes its place; the old address is empty.
    upload(&mut ada, &farebox, &token, "b", &jpeg()).await;
    assert_eq!(ada.get(&path).await.status, 404);
    assert_eq!(farebox.text("select count(*)::text from picture").await, "1");
    let removed = ada.submit("/settings/profile", "/settings/picture/remove", &[]).await;
    assert_eq!(removed.status, 303);
    assert!(!ada.get("/keys").await.body.contains("/pictures/"));
    // Each change stands in her own log; removing what is not there is none.
    assert_eq!(ada.submit("/settings/profile", "/settings/picture/remove", &[]).await.status, 303);
    let noted = "select string_agg(e.action || ' ' || (e.chain_id = p.id)::text, ' ') from audit_entry e
                 join person p on p.id = e.actor_id where e.action like '%picture%'";
    assert_eq!(farebox.text(noted).await, ["account.picture_changed true"; 3].join(" "));
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_picture_is_told_beside_its_field() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let token = ada.token("/settings/profile").await;
    let mut cut = jpeg();
    cut.truncate(200);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
    for (file, told) in [(svg, "not a PNG, JPEG or WebP"), (cut, "damaged"), (Vec::new(), "Choose a picture")] {
        let page = upload(&mut ada, &farebox, &token, "b", &file).await;
        assert!(page.status == 422 && page.body.contains(told), "{told}: {} {}", page.status, page.body);
    }
    let long = upload(&mut ada, &farebox, &token, "b", &vec![0; 5 * 1024 * 1024]).await;
    assert!(long.status == 422 && long.body.contains("longer than 4 MB"), "{} {}", long.status, long.body);
    let boundary = upload(&mut ada, &farebox, &token, &"b".repeat(5_000), &jpeg()).await;
    assert_eq!(boundary.status, 422);
    assert_eq!(upload(&mut ada, &farebox, "0", "b", &jpeg()).await.status, 403, "without the form's token");
    assert_eq!(farebox.text("select count(*)::text from picture").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_has_one_too_and_its_log_says_so() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", "correct horse battery").await;
    team::create(&mut ada, "Analytical Engines").await;
    team::bring_in(&farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    let action = "/settings/organization/picture";
    let token = bob.token("/settings/profile").await;
    assert_eq!(upload_to(&mut bob, &farebox, action, &token, "b", &jpeg()).await.status, 403, "a member may not");
    let token = ada.token("/settings/organization").await;
    let saved = upload_to(&mut ada, &farebox, action, &token, "b", &jpeg()).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, "/settings/organization"), "{}", saved.body);
    let path = between(&bob.get("/").await.body, "src=\"/pictures/", "\"");
    assert_eq!(bob.get(&format!("/pictures/{path}")).await.status, 200, "everybody in it sees it");
    let removed = ada.submit("/settings/organization", "/settings/organization/picture/remove", &[]).await;
    assert_eq!(removed.status, 303);
    assert!(!bob.get("/").await.body.contains("/pictures/"));
    let noted = "select count(*)::text from audit_entry where action = 'organization.avatar_changed'";
    assert_eq!(farebox.text(noted).await, "2");
}
