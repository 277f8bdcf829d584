//! The code of a start: brought before the project's file is read, and judged when the kind of the workload is known.

use super::preparation::Preparation;
use crate::check::Status;
use crate::code::{self, CodeQuestion};
use crate::config::{Settings, TrustedLayers};
use crate::error::Result;
use crate::identity::Entered;
use protocol::exit_code::FailureFamily;
use protocol::handover::{Phase, WorkloadKind};

impl Preparation {
    /// Brings the code, if a key names it, and keeps the outcome.
    pub(super) fn bring_code(&mut self, trusted: &TrustedLayers<'_>, settings: &Settings, entered: &Entered) {
        if settings.code_from.value.is_none() {
            return;
        }
        self.phase(Phase::Staging);
        let console = &mut self.console;
        self.code = code::bring(&CodeQuestion::of(trusted, settings), entered, &mut |line| console.line(line));
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
