//! Which checkpoint all processes resume from. In a directory that a process shares with the host, the host's list counts: what one of
//! them does not see yet is there all the same.

use crate::hello::{Checkpoints, Hello, Saved};
use crate::outcome::Resume;

/// A process's list, and whether it shares the host's directory.
pub(crate) struct View<'a> {
    pub(crate) hello: &'a Hello,
    pub(crate) shared: bool,
}

/// Chooses the newest checkpoint that all have. The host's view comes first.
///
/// # Errors
/// The sentence that says who has what, where some have checkpoints and there is none that all have.
pub(crate) fn choose(views: &[View<'_>]) -> Result<Resume, String> {
    let Some(host) = views.first() else { return Ok(Resume::Own) };
    let lists: Vec<(&Hello, &Checkpoints)> = views.iter().filter_map(|view| list(host.hello, view)).collect();
    if lists.is_empty() {
        return Ok(Resume::Own);
    }
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return Ok(Resume::Nothing);
    }
    let first = lists.first().map(|(_, list)| list.as_slice()).unwrap_or_default();
    let common = |saved: &&Saved| lists.iter().all(|(_, list)| list.iter().any(|other| other.is_like(saved)));
    first.iter().find(common).map(|saved| Resume::From(saved.clone())).ok_or_else(|| differ(&lists))
}

fn list<'a>(host: &'a Hello, view: &View<'a>) -> Option<(&'a Hello, &'a Checkpoints)> {
    let own = view.hello.checkpoints.as_ref()?;
    Some((view.hello, host.checkpoints.as_ref().filter(|_| view.shared).unwrap_or(own)))
}

/// Names the host's newest checkpoint, and the first process that lacks it.
fn differ(lists: &[(&Hello, &Checkpoints)]) -> String {
    let words = |(hello, list): &(&Hello, &Checkpoints)| format!("{} has {}", hello.short(), held(list));
    let Some(first) = lists.first() else { return String::new() };
    let apart = |(_, list): &&(&Hello, &Checkpoints)| {
        !first.1.iter().any(|saved| list.iter().any(|other| other.is_like(saved)))
    };
    let other = lists.iter().skip(1).find(apart).or_else(|| lists.get(1));
    let second = other.map(|other| format!(", {}", words(other))).unwrap_or_default();
    format!("there is no checkpoint that all have: {}{second}", words(first))
}

fn held(list: &Checkpoints) -> String {
    let one = |saved: &Saved| match saved.step {
        Some(step) => step.to_string(),
        None => text::line(&String::from_utf8_lossy(&saved.name)).into_owned(),
    };
    let shown: Vec<String> = list.iter().take(3).map(one).collect();
    match (list.first().map(|saved| saved.step.is_some()), list.len()) {
        (None, _) => "none".to_owned(),
        (Some(true), 1) => format!("step {}", shown.join("")),
        (Some(true), count) if count > 3 => format!("steps {} …", shown.join(", ")),
        (Some(true), _) => format!("steps {}", shown.join(", ")),
        (Some(false), _) => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::hello;
    use proptest::prelude::*;

    fn with(index: u32, steps: Option<&[u64]>) -> Hello {
        let saved = |step: &u64| Saved { step: Some(*step), name: format!("ckpt-{step}").into() };
        Hello { checkpoints: steps.map(|steps| steps.iter().map(saved).collect()), ..hello(index, 3) }
    }

    fn chosen(hellos: &[Hello], shared: &[u32]) -> Result<Resume, String> {
        let view = |hello| View { hello, shared: shared.contains(&hello.index) };
        choose(&hellos.iter().map(view).collect::<Vec<_>>())
    }

    fn step(resume: Result<Resume, String>) -> Option<u64> {
        match resume {
            Ok(Resume::From(saved)) => saved.step,
            _ => None,
        }
    }

    #[test]
    fn the_newest_that_all_have_is_chosen() {
        let own = [with(0, Some(&[300, 200, 100])), with(1, Some(&[200, 100])), with(2, Some(&[400, 300, 200, 100]))];
        assert_eq!(step(chosen(&own, &[])), Some(200));
        assert_eq!(step(chosen(&own, &[1])), Some(300), "node 1 does not see yet what is there");
    }

    #[test]
    fn a_shared_directory_is_the_hosts_choice_even_where_nothing_is_seen_yet() {
        let late = [with(0, Some(&[300])), with(1, Some(&[])), with(2, Some(&[]))];
        assert_eq!(step(chosen(&late, &[1, 2])), Some(300));
        let words = chosen(&late, &[2]).unwrap_err();
        assert_eq!(words, "there is no checkpoint that all have: node 0 (n1) has step 300, node 1 (n2) has none");
    }

    #[test]
    fn nothing_is_lost_where_the_lists_have_nothing_in_common() {
        let apart = [with(0, Some(&[100])), with(1, Some(&[200])), with(2, Some(&[]))];
        assert!(chosen(&apart, &[]).unwrap_err().contains("node 0 (n1) has step 100, node 1 (n2) has step 200"));
        let empty = [with(0, Some(&[])), with(1, Some(&[])), with(2, Some(&[]))];
        assert_eq!(chosen(&empty, &[]), Ok(Resume::Nothing));
        let off = [with(0, None), with(1, None), with(2, None)];
        assert_eq!(chosen(&off, &[]), Ok(Resume::Own));
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_in_every_list(lists in proptest::collection::vec(proptest::collection::vec(0..6_u64, 0..5), 1..5)) {
            let hellos: Vec<Hello> = lists.iter().enumerate().map(|(index, list)| with(index as u32, Some(list))).collect();
            match chosen(&hellos, &[]) {
                Ok(Resume::From(saved)) => prop_assert!(lists.iter().all(|list| list.contains(&saved.step.unwrap()))),
                Ok(_) => prop_assert!(lists.iter().all(Vec::is_empty)),
                Err(_) => prop_assert!(lists.iter().any(|list| !list.is_empty())),
            }
        }
    }
}
