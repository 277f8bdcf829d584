//! Sets of files: which files of a directory are one checkpoint together (model, optimizer and EMA of one step, a file of each rank),
//! and which of a set's files are missing. Everything here follows from names; whether a file is whole is judged elsewhere.

use super::listing::{Candidate, Entry, EntryKind, Listing};
use super::name::Number;
use super::part::{self, Part, Save};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::time::SystemTime;

/// A file that may be a part of a checkpoint.
struct Member<'a> {
    entry: &'a Entry,
    part: Part,
    /// The family's step, where the family takes the file for a checkpoint.
    candidate: Option<Option<u64>>,
}

/// The files of one checkpoint, as indices of members.
#[derive(Default)]
struct Set {
    members: Vec<usize>,
    gap: Option<String>,
}

/// The files of a directory, put together to checkpoints.
pub(crate) struct Sets<'a> {
    /// The checkpoints.
    pub candidates: Vec<Candidate<'a>>,
    /// Files that nothing shows to be saved by this training: weights from elsewhere.
    pub foreign: Vec<PathBuf>,
}

/// Puts the files among a family's candidates together to sets. `chosen` tells that a pattern has picked the candidates: then the
/// file that it picked stands for its set, and none is foreign. Neither is one that was written after `since`.
pub(crate) fn of<'a>(
    listing: &'a Listing,
    candidates: Vec<Candidate<'a>>,
    chosen: bool,
    since: Option<SystemTime>,
) -> Sets<'a> {
    let (files, mut found): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.entry.kind == EntryKind::File);
    if files.is_empty() {
        return Sets { candidates: found, foreign: Vec::new() };
    }
    let mut members = members(listing, files);
    pair_up(&mut members);
    let new = |entry: &Entry| since.is_some_and(|since| super::listing::modified(&listing.path(entry)) >= since);
    let of_another_model = is_model(listing);
    let own = |member: &Member<'_>| {
        (is_own(&member.part) && !(of_another_model && is_published(member.entry.bytes()))) || new(member.entry)
    };
    let (own, foreign): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|&at| chosen || members.get(at).is_some_and(own));
    let mut sets = sets(listing, &members, own, chosen);
    lacking_parts(&members, &mut sets);
    lacking_ranks(&members, &mut sets, chosen);
    found.extend(sets.into_iter().filter_map(|set| candidate(&members, set, chosen)));
    let path = |at: usize| members.get(at).map(|member| listing.path(member.entry));
    let mut foreign: Vec<PathBuf> = foreign.into_iter().filter_map(path).collect();
    foreign.sort();
    Sets { candidates: found, foreign }
}

/// Tells whether a directory holds a published model, with its description: its weights are no checkpoint of a training.
fn is_model(listing: &Listing) -> bool {
    let describes = ["config.json", "adapter_config.json", "model_index.json"];
    describes.iter().any(|name| listing.has(name, EntryKind::File))
}

/// Tells whether published models name their weights like this.
fn is_published(name: &[u8]) -> bool {
    let begins: [&[u8]; 5] = [b"model.", b"model-", b"adapter_model", b"pytorch_model", b"diffusion_pytorch_model"];
    begins.iter().any(|start| name.starts_with(start)) && !name.ends_with(b".pt") && !name.ends_with(b".pth")
}

fn is_own(part: &Part) -> bool {
    part.is_of_a_training() || part.is_helper()
}

/// Gathers the family's candidates, and all other files that may belong to them. A link and its target are one member, and shards
/// belong to their index.
fn members<'a>(listing: &'a Listing, files: Vec<Candidate<'a>>) -> Vec<Member<'a>> {
    let mut seen = HashSet::new();
    let mut members = Vec::new();
    for candidate in files {
        if seen.insert(listing.path(candidate.entry)) {
            let part = Part::of(candidate.entry.real_name());
            members.push(Member { entry: candidate.entry, part, candidate: Some(candidate.step) });
        }
    }
    let indexed: HashSet<String> = listing
        .entries
        .iter()
        .filter(|entry| is_index(entry))
        .filter_map(|entry| part::index_of(entry.bytes()))
        .collect();
    let is_shard = |entry: &Entry| part::index_of(entry.bytes()).is_some_and(|base| indexed.contains(&base));
    members.retain(|member| is_index(member.entry) || indexed.is_empty() || !is_shard(member.entry));
    for entry in listing.entries.iter().filter(|entry| may_belong(entry)) {
        if (indexed.is_empty() || is_index(entry) || !is_shard(entry)) && seen.insert(listing.path(entry)) {
            members.push(Member { entry, part: Part::of(entry.bytes()), candidate: None });
        }
    }
    members
}

fn may_belong(entry: &Entry) -> bool {
    entry.kind == EntryKind::File
        && !entry.is_link()
        && !super::name::is_temporary(entry.bytes())
        && part::is_part(entry.bytes())
}

fn is_index(entry: &Entry) -> bool {
    entry.bytes().ends_with(b".index.json")
}

/// Puts members together by the number in their names. Helpers without a number (`optimizer.pth`, replaced at each save) belong to
/// the newest checkpoint, and no longer to the others.
fn sets(listing: &Listing, members: &[Member<'_>], own: Vec<usize>, chosen: bool) -> Vec<Set> {
    let mut saves: BTreeMap<Save, Vec<usize>> = BTreeMap::new();
    for at in own {
        saves.entry(members.get(at).map_or(Save::None, |member| member.part.save)).or_default().push(at);
    }
    let unnumbered = saves.remove(&Save::None).unwrap_or_default();
    let (helpers, alone): (Vec<usize>, Vec<usize>) =
        unnumbered.into_iter().partition(|&at| members.get(at).is_some_and(|member| member.part.is_helper()));
    let mut sets: Vec<Set> = saves.into_values().flat_map(|save| of_one_save(members, save)).collect();
    sets.extend(unnumbered_sets(members, alone));
    if !helpers.is_empty() {
        attach(listing, members, &mut sets, helpers, chosen);
    }
    for set in &mut sets {
        if set.gap.is_none()
            && set.members.iter().all(|&at| members.get(at).is_some_and(|member| member.part.is_helper()))
        {
            set.gap = Some("there is no model beside it".into());
        }
    }
    sets
}

/// Returns the sets of files with one number: one set, or one for each file where each is a checkpoint of its own.
fn of_one_save(members: &[Member<'_>], save: Vec<usize>) -> Vec<Set> {
    let parts: Vec<&Part> = save.iter().filter_map(|&at| members.get(at)).map(|member| &member.part).collect();
    if part::are_alternatives(&parts) {
        return save.into_iter().map(|at| Set { members: vec![at], gap: None }).collect();
    }
    vec![Set { members: save, gap: None }]
}

/// Returns the sets of files without a number: the files of several ranks or shards are one, any other file is one of its own.
fn unnumbered_sets(members: &[Member<'_>], alone: Vec<usize>) -> Vec<Set> {
    let mut several: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut sets = Vec::new();
    for at in alone {
        match members.get(at).map(|member| &member.part) {
            Some(part) if !part.ranks.is_empty() => several.entry(&part.template).or_default().push(at),
            _ => sets.push(Set { members: vec![at], gap: None }),
        }
    }
    sets.extend(several.into_values().map(|members| Set { members, gap: None }));
    sets
}

/// Adds helpers without a number to the set that was written last.
fn attach(listing: &Listing, members: &[Member<'_>], sets: &mut Vec<Set>, helpers: Vec<usize>, chosen: bool) {
    let written = |set: &Set| -> SystemTime {
        let entries = set.members.iter().filter_map(|&at| members.get(at));
        let times = entries.map(|member| super::listing::modified(&listing.path(member.entry)));
        times.max().unwrap_or(SystemTime::UNIX_EPOCH)
    };
    let Some(newest) = (0..sets.len()).max_by_key(|&at| sets.get(at).map(&written)) else {
        sets.push(Set { members: helpers, gap: None });
        return;
    };
    let name = helpers.first().and_then(|&at| members.get(at)).map_or(String::new(), |member| name(member.entry));
    for (at, set) in sets.iter_mut().enumerate() {
        if at == newest {
            set.members.extend(&helpers);
        } else if !chosen {
            set.gap = Some(format!("{name} was saved again since then"));
        }
    }
}

/// Finds sets without a part that other sets have: what was saved together once belongs together.
fn lacking_parts(members: &[Member<'_>], sets: &mut [Set]) {
    let templates = |set: &Set| -> BTreeSet<String> {
        set.members.iter().filter_map(|&at| members.get(at)).map(|member| member.part.template.clone()).collect()
    };
    let numbered = |set: &Set| {
        set.members.first().and_then(|&at| members.get(at)).is_some_and(|member| member.part.save != Save::None)
    };
    // Templates that were seen together are of one kind; `kinds` tells the kind of each.
    let mut kinds: HashMap<String, usize> = HashMap::new();
    let mut together: Vec<BTreeSet<String>> = Vec::new();
    for set in sets.iter().filter(|set| numbered(set)) {
        let parts: BTreeSet<String> = templates(set).into_iter().filter(|part| part.contains(['#', '@'])).collect();
        let known: BTreeSet<usize> = parts.iter().filter_map(|part| kinds.get(part).copied()).collect();
        let mut all = parts;
        for at in known {
            all.extend(together.get_mut(at).map(std::mem::take).unwrap_or_default());
        }
        kinds.extend(all.iter().map(|part| (part.clone(), together.len())));
        together.push(all);
    }
    for set in sets.iter_mut().filter(|set| set.gap.is_none() && numbered(set)) {
        let own = templates(set);
        let kind = own.iter().find_map(|part| kinds.get(part)).and_then(|&at| together.get(at));
        if let Some(missing) = kind.and_then(|kind| kind.iter().find(|part| !own.contains(*part))) {
            set.gap = Some(format!("{} is missing", shown(members, set, missing)));
        }
    }
}

/// Writes a template with the set's own number, as the file would be named.
fn shown(members: &[Member<'_>], set: &Set, template: &str) -> String {
    let number = set.members.iter().filter_map(|&at| members.get(at)).find_map(|member| match member.part.save {
        Save::Step(number) | Save::Epoch(number) => Some(number.to_string()),
        Save::None => None,
    });
    template.replace(['#', '@'], &number.unwrap_or_default()).replace(['%', '^'], "N")
}

/// Finds sets in which the file of a rank or a shard is missing: by the count in the name, or by the most that any set has.
fn lacking_ranks(members: &[Member<'_>], sets: &mut [Set], chosen: bool) {
    let mut most: HashMap<String, BTreeSet<Vec<u64>>> = HashMap::new();
    for member in members.iter().filter(|member| !member.part.ranks.is_empty()) {
        most.entry(member.part.template.clone()).or_default().insert(member.part.ranks.clone());
    }
    for set in sets.iter_mut().filter(|set| set.gap.is_none()) {
        let mut ranks: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
        for part in set.members.iter().filter_map(|&at| members.get(at)).map(|member| &member.part) {
            if !part.ranks.is_empty() {
                ranks.entry(&part.template).or_default().push(part);
            }
        }
        set.gap = ranks.into_iter().find_map(|(template, parts)| rank_gap(&parts, most.get(template)?, chosen));
    }
}

/// Returns why the files of ranks or shards are not all there.
fn rank_gap(parts: &[&Part], seen: &BTreeSet<Vec<u64>>, chosen: bool) -> Option<String> {
    let own: BTreeSet<&Vec<u64>> = parts.iter().map(|part| &part.ranks).collect();
    if parts.iter().any(|part| !part.counts.is_empty()) {
        return counted_gap(parts);
    }
    if own.len() < seen.len() {
        return Some(format!("{} of {} ranks' files are there", own.len(), seen.len()));
    }
    // The numbers of ranks follow one another, so that a hole shows.
    let hole =
        seen.last().is_some_and(|last| last.len() == 1 && last.first().is_some_and(|last| *last >= seen.len() as u64));
    let starts_at_one =
        !seen.contains(&vec![0]) && seen.last().is_some_and(|last| last.first() == Some(&(seen.len() as u64)));
    if hole && !starts_at_one {
        return Some(format!("{} ranks' files are there, and some between them are not", seen.len()));
    }
    let for_all = chosen || parts.iter().all(|part| part.is_for_all());
    (seen.len() == 1 && !for_all).then(|| "a file of one rank, and how many there have to be is not known".into())
}

/// Returns why files whose names tell how many there are (`-of-00003`, or `dp-0-of-2_tp-0-of-4`) are not all there.
fn counted_gap(parts: &[&Part]) -> Option<String> {
    let own: BTreeSet<&Vec<u64>> = parts.iter().map(|part| &part.ranks).collect();
    let first = parts.first()?;
    let counts = parts.iter().map(|part| &part.counts).max()?;
    let values = |at: usize| own.iter().filter_map(|ranks| ranks.get(at)).collect::<BTreeSet<_>>().len() as u64;
    let respects = first.template.split('%').zip(0..first.ranks.len());
    let expected = respects.map(|(before, at)| match counts.get(at) {
        // A layer's weights are in one stage of the pipeline.
        Some(_) if counts.len() > 1 && before.ends_with("pp-rank-") => values(at),
        Some(count) => *count,
        None => values(at),
    });
    let expected = expected.fold(1, u64::saturating_mul);
    ((own.len() as u64) < expected).then(|| format!("{} of {expected} files are there", own.len()))
}

/// Returns why the files of a directory, whose names tell how many there are, are not all there.
pub(crate) fn gap_within(listing: &Listing) -> Option<String> {
    let mut counted: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    for entry in listing.entries.iter().filter(|entry| may_belong(entry)) {
        let part = Part::of(entry.bytes());
        if !part.ranks.is_empty() && !part.counts.is_empty() {
            counted.entry(part.template.clone()).or_default().push(part);
        }
    }
    counted.into_iter().find_map(|(template, parts)| {
        let gap = counted_gap(&parts.iter().collect::<Vec<_>>())?;
        Some(format!("{}: {gap}", template.replace(['%', '^', '#', '@'], "N")))
    })
}

/// Takes the second number of `ckpt_100_0.pt` for the rank, where the names of all such files fit that: numbers from 0 without a
/// hole, and several for one step. Else the numbers stay what they are.
fn pair_up(members: &mut [Member<'_>]) {
    let mut pairs: BTreeMap<String, Vec<(usize, [u64; 2])>> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        let Some([a, b]) = member.part.pair else { continue };
        let name = member.entry.real_name();
        let value = |number: Number| super::name::number(name, number.start, number.end);
        if let (Some(first), Some(second)) = (value(a), value(b)) {
            let between = [name.get(..a.start), name.get(a.end..b.start), name.get(b.end..)];
            let template = between.map(|part| String::from_utf8_lossy(part.unwrap_or_default()).into_owned());
            pairs.entry(template.join("%")).or_default().push((at, [first, second]));
        }
    }
    for (template, files) in pairs {
        let [steps, ranks] = [0, 1].map(|n| files.iter().map(|(_, pair)| pair[n]).collect::<BTreeSet<u64>>());
        let dense = ranks.last().is_some_and(|last| *last + 1 == ranks.len() as u64) && ranks.len() > 1;
        if !dense || files.len() <= steps.len() {
            continue;
        }
        for (at, [step, rank]) in files {
            if let Some(member) = members.get_mut(at) {
                member.part.save = Save::Step(step);
                member.part.ranks = vec![rank];
                member.part.template = template.replacen('%', "#", 1);
            }
        }
    }
}

/// Makes a candidate of a set that has at least one file which the family takes for a checkpoint.
fn candidate<'a>(members: &[Member<'a>], set: Set, chosen: bool) -> Option<Candidate<'a>> {
    let all: Vec<&Member<'a>> = set.members.iter().filter_map(|&at| members.get(at)).collect();
    let picked: Vec<&Member<'a>> = all.iter().copied().filter(|member| member.candidate.is_some()).collect();
    let order = |member: &&Member<'a>| (member.part.is_helper(), member.part.ranks.clone(), member.entry.name.clone());
    let family_step = picked.iter().copied().min_by_key(order)?.candidate.flatten();
    let lead =
        if chosen { picked.iter().copied().min_by_key(order)? } else { all.iter().copied().min_by_key(order)? };
    let mut others: Vec<&Entry> =
        all.iter().filter(|member| !std::ptr::eq(member.entry, lead.entry)).map(|member| member.entry).collect();
    others.sort_by(|a, b| a.name.cmp(&b.name));
    let step = family_step.or(match lead.part.save {
        Save::Step(step) if !chosen => Some(step),
        _ => None,
    });
    let stands = others.is_empty() || (chosen && picked.len() == 1) || is_with_ema(lead, &all);
    Some(Candidate { entry: lead.entry, step, others, gap: set.gap, ours: lead.candidate.is_some(), stands })
}

/// Tells whether the other file is the EMA that a trainer saves beside its checkpoint and finds by itself (NeMo).
fn is_with_ema(lead: &Member<'_>, all: &[&Member<'_>]) -> bool {
    let stem = |entry: &Entry| name(entry).strip_suffix(".ckpt").map(str::to_owned);
    let Some(own) = stem(lead.entry) else { return false };
    all.iter().all(|member| stem(member.entry).is_some_and(|other| other == own || other == format!("{own}-EMA")))
}

fn name(entry: &Entry) -> String {
    entry.name.to_string_lossy().into_owned()
}
