//! One commit of `code.from` for all nodes: node 0 asks the server, and tells the others what it found while it prepares itself. They take
//! that in place of what their branch is by then.
//!
//! The port is the one at which the nodes meet later. A node that gets no answer in time asks the server itself, and the meeting judges.

use super::commit_teller::CommitTeller;
use super::early_failure::to_train;
use super::meet::{Meeting, WaitingLines};
use super::preparation::Preparation;
use crate::cli::StartRequest;
use crate::code::CodeQuestion;
use crate::engine;
use exchange::Hello;
use std::time::Duration;
use sys::Root;

/// How long a node waits for what node 0 has found.
const WITHIN: Duration = Duration::from_secs(60);

/// This start's part in a commit that several nodes share.
pub(super) enum CommitPart {
    /// There is nobody to share it with, or nothing that could differ.
    None,
    /// Node 0: tells the others what it finds, at this port.
    Tells(u16, Box<Hello>),
    /// Another node: node 0 has told this commit, or gave no answer.
    Told(Option<String>),
}

impl Preparation {
    /// Finds this start's part, and asks node 0 where it is another node. The project's file is not read yet, so what it says does not count.
    pub(super) fn commit_part(&mut self, request: &StartRequest, question: &CodeQuestion<'_>) -> CommitPart {
        let (settings, environment) = (question.settings, question.environment);
        let moves =
            settings.code_from.as_ref().is_some_and(|address| address.commit().is_none()) && !question.is_pinned();
        let command = to_train(Some(request), &request.words, environment, settings).filter(|_| moves);
        let Some(command) = command else { return CommitPart::None };
        self.world = engine::world(&Root::real(), environment, settings, &command, &|| 0);
        match self.meeting(settings) {
            None => CommitPart::None,
            Some(meeting) if meeting.is_host() => {
                CommitPart::Tells(meeting.place().port, Box::new(self.presence(&meeting, None)))
            }
            Some(meeting) => CommitPart::Told(self.ask_for_commit(&meeting)),
        }
    }

    fn ask_for_commit(&mut self, meeting: &Meeting) -> Option<String> {
        let (hello, mut lines) = (self.presence(meeting, None), WaitingLines::new());
        let console = &mut self.console;
        let mut tell = |progress: &_| lines.due(progress, false).iter().for_each(|line| console.line(line));
        let told = exchange::ask_commit(meeting.place(), hello, WITHIN.min(meeting.wait()), &mut tell);
        told.filter(|commit| checkout::is_commit(commit))
    }

    /// Frees the port for the meeting.
    pub(super) fn end_commit_teller(&mut self) {
        self.commit_teller.take().into_iter().for_each(CommitTeller::end);
    }
}
