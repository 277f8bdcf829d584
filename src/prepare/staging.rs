//! Brings data beside the other steps of a start: begun before the checks, waited for before the paths themselves are checked.

use super::preparation::Preparation;
use crate::check::{CheckContext, Status};
use crate::error::Result;
use crate::progress_bar::Amount;
use crate::stage::{self, RunningStage, StagingEvent};
use crate::ticker::{self, Ticker};
use protocol::exit_code::FailureFamily;
use protocol::handover::Phase;
use std::time::Duration;

/// How long an event is waited for.
const WAIT: Duration = Duration::from_millis(200);

/// The time after which a log says that data is still being brought.
const PATIENCE: Duration = Duration::from_secs(5);

/// Data that is being brought.
pub(super) struct Staging {
    running: RunningStage,
    /// The paths, as messages show them.
    targets: Vec<String>,
}

/// What the lines show.
struct Shown {
    ticker: Ticker,
    words: String,
    amount: Option<Amount>,
}

impl Preparation {
    /// Begins to bring data; `None` if no path has a source.
    ///
    /// # Errors
    /// A process that cannot be started (214).
    pub(super) fn begin_staging(&mut self, context: &CheckContext) -> Result<Option<Staging>> {
        if context.settings.data.iter().all(|path| path.from.is_none()) {
            return Ok(None);
        }
        let requests = context.stage_requests();
        let targets = requests.iter().map(|request| text::path(&request.target)).collect();
        let running = RunningStage::start(requests, &self.handover).map_err(stage::not_started)?;
        Ok(Some(Staging { running, targets }))
    }

    /// Waits until all data is there.
    ///
    /// # Errors
    /// Data that cannot be brought (111, 211, 214).
    pub(super) fn finish_staging(&mut self, context: &CheckContext, staging: Option<Staging>) -> Result<()> {
        let Some(mut staging) = staging else { return Ok(()) };
        self.phase(Phase::Staging);
        let ticker = Ticker::new(ticker::draws(&context.settings), PATIENCE);
        let mut used = Vec::new();
        let mut shown = Shown { ticker, words: String::new(), amount: None };
        while !staging.running.is_over() {
            self.handover.send_kept();
            match staging.running.next(WAIT) {
                // A line takes the place of the one that is being rewritten.
                Some(StagingEvent::Line(line)) => {
                    shown.ticker.interrupt();
                    self.console.line(&line);
                }
                Some(StagingEvent::Done(_, words, took, file)) => {
                    used.extend(file);
                    shown.ticker.interrupt();
                    shown.words = String::new();
                    self.console.row(Status::Ok, FailureFamily::Data.name(), &words, took);
                }
                Some(StagingEvent::Failed(_, failure)) => return Err(stage::error_of(failure)),
                Some(StagingEvent::Died) => return Err(stage::died()),
                Some(event) => staging.show(&event, &mut shown),
                None => {}
            }
            let words = &shown.words;
            if !words.is_empty() {
                let console = &mut self.console;
                shown.ticker.tick(shown.amount, || words.clone(), &mut |line| console.line(line));
            }
        }
        stage::keep(used);
        Ok(())
    }
}

impl Staging {
    fn show(&self, event: &StagingEvent, shown: &mut Shown) {
        let target = |number: usize| self.targets.get(number).map_or("", String::as_str);
        match event {
            StagingEvent::Progress(number, progress) => {
                shown.words = stage::progress_words(target(*number));
                shown.amount = stage::amount(*progress);
            }
            StagingEvent::Waits(host, doing) => {
                shown.words = stage::wait_words(&self.targets.join(", "), host, doing);
                shown.amount = None;
            }
            _ => {}
        }
    }
}
