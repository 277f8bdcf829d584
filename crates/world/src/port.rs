//! The port of the rendezvous where no engine tells one: all nodes of a job find the same number, and jobs beside it find others.

use crate::known::Known;

/// torchrun's own default, for jobs that nothing tells apart. Such jobs are pods, which have ports of their own.
pub(crate) const USUAL: u16 = 29500;
/// The first port, and the number of ports, among which a job's is.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;
/// Ports below this one are for system services.
const SYSTEM: u16 = 1024;

/// Returns the port of a job by its id, outside of the range from which the kernel takes those of outgoing connections.
pub(crate) fn of_job(job: &Known<String>, ephemeral: (u16, u16)) -> Known<u16> {
    let number = number(&job.value);
    let at = |first: u16, count: u16| first + u16::try_from(number % u64::from(count.max(1))).unwrap_or_default();
    let (low, high) = ephemeral;
    let wanted = at(FIRST, COUNT);
    let port = match (low..=high).contains(&wanted) {
        false => wanted,
        true if low > SYSTEM => at(SYSTEM, low - SYSTEM),
        true if high < u16::MAX => at(high + 1, u16::MAX - high),
        true => wanted,
    };
    Known::new(port, job.from.clone())
}

/// Returns a number for a job: the id itself, with the steps of one job far from each other, else a hash of its text (FNV-1a).
fn number(job: &str) -> u64 {
    let (id, step) = job.split_once('.').unwrap_or((job, "0"));
    let parsed = id.parse::<u64>().ok().zip(step.parse::<u64>().ok());
    let hash = || {
        job.bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    parsed.map_or_else(hash, |(id, step)| id.wrapping_add(step.wrapping_mul(1009)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn port(job: &str, ephemeral: (u16, u16)) -> u16 {
        of_job(&Known::new(job.to_owned(), "SLURM_JOB_ID"), ephemeral).value
    }

    #[test]
    fn jobs_and_steps_get_ports_of_their_own() {
        let linux = (32_768, 60_999);
        assert_eq!(port("4211", linux), 14_211);
        assert_eq!(port("4211.0", linux), 14_211);
        assert_eq!(port("4211.1", linux), 15_220);
        assert_eq!(port("24211", linux), 14_211);
        assert_ne!(port("abc", linux), port("abd", linux));
    }

    proptest! {
        #[test]
        fn no_port_is_an_outgoing_one(job in ".{0,20}", low in 1025u16.., more: u16) {
            let high = low.saturating_add(more).min(u16::MAX - 1);
            let port = port(&job, (low, high));
            prop_assert!(port >= SYSTEM && !(low..=high).contains(&port));
        }
    }
}
