//! The code of a start: brought before the project's file is read, and judged when the kind of the workload is known.

use super::commit_teller::CommitTeller;
use super::pinned_commit::CommitPart;
use super::preparation::Preparation;
use crate::check::Status;
use crate::cli::StartRequest;
use crate::code::{self, CodeQuestion};
use crate::config::{Settings, TrustedLayers};
use crate::error::Result;
use crate::identity::Entered;
use protocol::exit_code::FailureFamily;
use protocol::handover::{Phase, WorkloadKind};

impl Preparation {
    /// Brings the code, if a key names it, and keeps the outcome.
    ///
    /// Where several nodes start, the first one says which commit all of them take.
    pub(super) fn bring_code(
        &mut self,
        request: &StartRequest,
        trusted: &TrustedLayers<'_>,
        settings: &Settings,
        entered: &Entered,
    ) {
        if settings.code_from.value.is_none() {
            return;
        }
        self.phase(Phase::Staging);
        let mut question = CodeQuestion::of(trusted, settings);
        let (mut tells, mut teller) = (None, None);
        match self.commit_part(request, &question) {
            CommitPart::None => {}
            CommitPart::Told(commit) => question.told = commit,
            CommitPart::Tells(port, hello) => tells = Some((port, hello)),
        }
        let mut found = |commit: Option<&str>| {
            let tells = tells.take();
            teller = teller.take().or_else(|| tells.and_then(|(port, hello)| CommitTeller::start(port, hello, commit)));
        };
        let console = &mut self.console;
        self.code = code::bring(&question, entered, &mut |commit| found(Some(commit)), &mut |line| console.line(line));
        // Whatever went wrong before, the others need not wait for it.
        found(None);
        self.commit_teller = teller;
        self.phase(Phase::Configuring);
    }

    /// Tells what was brought, and decides whether this workload may run on it.
    ///
    /// # Errors
    /// The code could not be brought, or is not what was asked for (112, 212).
    pub(super) fn judge_code(&mut self, kind: WorkloadKind) -> Result<()> {
        let Some(code) = self.code.take().transpose()? else { return Ok(()) };
        let doubt = code.judge(kind == WorkloadKind::Train)?;
        match &doubt {
            Some(warning) => self.console.warning(warning),
            None => self.console.row(Status::Ok, FailureFamily::Code.name(), &code.words(), code.took),
        }
        self.code_row = Some((code.words(), code.took));
        Ok(())
    }
}
