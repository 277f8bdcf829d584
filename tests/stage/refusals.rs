//! What stores refuse while data is brought: the code, the words, and how often was asked. The numbers of cases are those of the public
//! reports that the tests come from.

use crate::bucket::Bucket;
use crate::support::fault_proxy::{Asked, Fault};
use std::sync::atomic::{AtomicBool, Ordering};

fn is_get(asked: &Asked) -> bool {
    asked.line.starts_with("GET /bucket/set/")
}

#[test]
fn a_store_that_refuses_for_good_is_told_with_its_code_and_what_helps() {
    let clock = Fault::error(403, "RequestTimeTooSkewed", "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n");
    for (answer, code, words) in [
        (clock, 214, ["this machine's clock and the store's differ by", "set the clock"]),
        (Fault::s3(403, "AccessDenied"), 111, ["AccessDenied, asked with", "a policy has to grant s3:GetObject"]),
        (Fault::s3(403, "InvalidAccessKeyId"), 111, ["does not know the access key", "AWS_ACCESS_KEY_ID"]),
        (Fault::s3(503, "SlowDown"), 211, ["SlowDown", "the next start goes on from here"]),
    ] {
        let rule = move |asked: &Asked| if is_get(asked) { answer.clone() } else { Fault::Pass };
        let Some(bucket) = Bucket::behind(rule) else { return };
        bucket.put("set/a", "1");
        let (found, said) = bucket.stage("s3://bucket/set/", &[]);
        assert!(found == Some(code) && words.iter().all(|words| said.contains(words)), "{code}: {found:?} {said}");
        assert!(!bucket.data().join("a").exists());
    }
}

#[test]
fn case_18_credentials_that_have_expired_for_good_end_it_at_the_first_object() {
    let rule = |asked: &Asked| if is_get(asked) { Fault::s3(400, "ExpiredToken") } else { Fault::Pass };
    let Some(bucket) = Bucket::behind(rule) else { return };
    (0..200).for_each(|n| bucket.put(&format!("set/{n:03}"), "1"));
    let (code, said) = bucket.stage("s3://bucket/set/", &[("TRAINIT_STAGE_PARALLEL", "1")]);
    assert!(code == Some(211) && said.matches("have expired").count() == 1, "{code:?} {said}");
    assert!(bucket.gets("set/") <= 4, "{} requests", bucket.gets("set/"));
}

#[test]
fn case_36_objects_that_fail_for_good_are_counted_and_three_are_named() {
    let refused = |asked: &Asked| is_get(asked) && asked.line.contains("/set/bad/");
    let Some(bucket) = Bucket::behind(move |asked| match refused(asked) {
        true => Fault::s3(403, "AccessDenied"),
        false => Fault::Pass,
    }) else {
        return;
    };
    (0..5).for_each(|n| bucket.put(&format!("set/bad/{n}"), "1"));
    (0..30).for_each(|n| bucket.put(&format!("set/good/{n}"), "1"));
    let (code, said) = bucket.stage("s3://bucket/set/", &[]);
    assert_eq!(code, Some(111), "{said}");
    assert!(said.contains("5 objects could not be fetched: "), "{said}");
    assert_eq!((0..5).filter(|n| said.contains(&format!("bad/{n}"))).count(), 3, "{said}");
    assert!(!bucket.data().join("good").exists(), "half of the data is no data");
}

#[test]
fn what_was_brought_before_a_refusal_is_not_brought_again() {
    static REFUSES: AtomicBool = AtomicBool::new(true);
    let rule = |asked: &Asked| match is_get(asked) && asked.line.contains("/set/z") && REFUSES.load(Ordering::Relaxed) {
        true => Fault::s3(403, "AccessDenied"),
        false => Fault::Pass,
    };
    let Some(bucket) = Bucket::behind(rule) else { return };
    (0..20).for_each(|n| bucket.put(&format!("set/{n:02}"), "1"));
    bucket.put("set/z", "1");
    assert_eq!(bucket.stage("s3://bucket/set/", &[]).0, Some(111));
    REFUSES.store(false, Ordering::Relaxed);
    let before = bucket.gets("set/");
    let (code, said) = bucket.stage("s3://bucket/set/", &[]);
    assert!(code == Some(0) && bucket.gets("set/") == before + 1, "{code:?} {} {said}", bucket.gets("set/") - before);
}

#[test]
fn case_37_a_start_that_finds_its_data_asks_nobody() {
    let Some(bucket) = Bucket::behind(|_| Fault::Pass) else { return };
    (0..20).for_each(|n| bucket.put(&format!("set/{n:02}"), "1"));
    assert_eq!(bucket.stage("s3://bucket/set/", &[]).0, Some(0));
    let before = bucket.proxy.asked().len();
    let (code, said) = bucket.stage("s3://bucket/set/", &[]);
    assert!(code == Some(0) && said.contains("20 files") && said.contains("unchanged"), "{said}");
    assert_eq!(bucket.proxy.asked().len(), before);
}
