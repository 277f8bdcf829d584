//! NVIDIA_REQUIRE_*: the requirements of an image in the syntax of NVIDIA's container toolkit. The toolkit enforces them in its legacy
//! mode only; with CDI no component does.

use super::Brand;
use crate::VersionText;
use std::cmp::Ordering;
use sys::environment::Environment;

/// The facts about the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequireFacts {
    /// The newest CUDA that the driver supports.
    pub cuda: Option<VersionText>,
    /// The driver's version.
    pub driver: Option<VersionText>,
    /// The GPUs' compute capability.
    pub arch: Option<VersionText>,
    /// The GPUs' brand.
    pub brand: Option<Brand>,
}

/// A requirement that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The variable.
    pub variable: String,
    /// The expression.
    pub text: String,
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Atom<'a> {
    property: &'a str,
    operator: &'a str,
    value: &'a str,
}

/// Operators, longer ones first: `<=` starts like `<`.
const OPERATORS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];

/// Returns the first expression that is certainly not met. Unknown facts and unknown syntax count as met.
pub fn unmet(environment: &Environment, facts: &RequireFacts) -> Option<Unmet> {
    let disabled = environment.text("NVIDIA_DISABLE_REQUIRE").is_some_and(is_true);
    let mut expressions = environment.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    let fails = |(name, text): &(&str, &str)| name.starts_with("NVIDIA_REQUIRE_") && holds(text, facts) == Some(false);
    let (variable, text) = expressions.find(fails).filter(|_| !disabled)?;
    Some(Unmet { variable: variable.to_owned(), text: text.to_owned() })
}

fn is_true(text: &str) -> bool {
    ["1", "t", "true"].contains(&text.to_ascii_lowercase().as_str())
}

/// Evaluates an expression: blanks separate alternatives, commas separate conditions. `None` if the result is unknown.
pub fn holds(text: &str, facts: &RequireFacts) -> Option<bool> {
    let alternatives: Vec<Option<bool>> = text.split_ascii_whitespace().map(|one| all_hold(one, facts)).collect();
    match alternatives.as_slice() {
        [] => Some(true),
        some if some.contains(&Some(true)) => Some(true),
        some if some.contains(&None) => None,
        _ => Some(false),
    }
}

fn all_hold(alternative: &str, facts: &RequireFacts) -> Option<bool> {
    let atoms: Vec<Option<bool>> = alternative.split(',').map(|text| atom(text)?.holds(facts)).collect();
    match atoms.as_slice() {
        atoms if atoms.contains(&Some(false)) => Some(false),
        atoms if atoms.contains(&None) => None,
        _ => Some(true),
    }
}

fn atom(text: &str) -> Option<Atom<'_>> {
    let at = text.find(['!', '<', '>', '='])?;
    let (property, rest) = text.split_at(at);
    let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator))?;
    Some(Atom { property, operator, value: rest.get(operator.len()..)? })
}

impl Atom<'_> {
    fn holds(self, facts: &RequireFacts) -> Option<bool> {
        let version = match self.property {
            "cuda" => &facts.cuda,
            "driver" => &facts.driver,
            "arch" => &facts.arch,
            "brand" => return self.names_brand(facts.brand?),
            _ => return None,
        };
        self.accepts(version.as_ref()?.cmp(&VersionText::of(self.value)?))
    }

    fn names_brand(self, brand: Brand) -> Option<bool> {
        let named = brand.names().iter().any(|name| name.eq_ignore_ascii_case(self.value));
        self.accepts(if named { Ordering::Equal } else { Ordering::Greater }).filter(|_| self.operator.contains('='))
    }

    fn accepts(self, order: Ordering) -> Option<bool> {
        Some(match self.operator {
            "!=" => order.is_ne(),
            "<=" => order.is_le(),
            ">=" => order.is_ge(),
            "=" => order.is_eq(),
            "<" => order.is_lt(),
            ">" => order.is_gt(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine(driver: &str, cuda: &str, model: &str) -> RequireFacts {
        let version = |text| Some(VersionText::of(text).unwrap());
        RequireFacts { cuda: version(cuda), driver: version(driver), arch: version("9.0"), brand: Brand::of(model) }
    }

    const OF_AN_IMAGE: &str = "cuda>=12.8 brand=unknown,driver>=470,driver<471 brand=tesla,driver>=535,driver<536 brand=tesla,driver>=550,driver<551";

    #[test]
    fn blanks_are_alternatives_and_commas_go_together() {
        let told = |driver, cuda, model| holds(OF_AN_IMAGE, &machine(driver, cuda, model));
        assert_eq!(told("570.124.06", "12.8", "NVIDIA GeForce RTX 4090"), Some(true));
        assert_eq!(told("535.183.01", "12.2", "NVIDIA H100 80GB HBM3"), Some(true));
        assert_eq!(told("535.183.01", "12.2", "NVIDIA GeForce RTX 4090"), Some(false));
        assert_eq!(told("545.23.06", "12.3", "NVIDIA H100 80GB HBM3"), Some(false));
        assert_eq!(told("535.183.01", "12.2", "NVIDIA Something New"), None);
    }

    #[test]
    fn every_operator_compares_numbers() {
        let facts = machine("570.86.10", "12.8", "NVIDIA H200");
        for text in ["driver<570.124", "driver!=570.86", "driver>=570.86.10", "cuda=12.8", "cuda<=12.10", "arch>8.9"] {
            assert_eq!(holds(text, &facts), Some(true), "{text}");
        }
        for text in ["driver>570.124", "cuda<12.8", "arch=8.0", "brand!=tesla"] {
            assert_eq!(holds(text, &facts), Some(false), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_taken_for_fulfilled() {
        let facts = machine("570.86.10", "12.8", "NVIDIA H200");
        for text in ["jetpack>=6", "nonsense", "cuda~12", "cuda>=new", "brand<tesla"] {
            assert_eq!(holds(text, &facts), None, "{text}");
        }
        assert_eq!(holds("", &facts), Some(true));
        assert_eq!(holds("cuda>=99", &RequireFacts::default()), None);
    }

    #[test]
    fn a_person_may_turn_it_off() {
        let facts = machine("535.1", "12.2", "NVIDIA GeForce RTX 4090");
        let told = |more: (&str, &str)| {
            let environment = [("NVIDIA_REQUIRE_CUDA", OF_AN_IMAGE), more].into_iter().collect();
            unmet(&environment, &facts).map(|unmet| unmet.variable)
        };
        assert_eq!(told(("A", "b")).as_deref(), Some("NVIDIA_REQUIRE_CUDA"));
        assert_eq!(told(("NVIDIA_DISABLE_REQUIRE", "true")), None);
    }

    proptest! {
        #[test]
        fn an_alternative_more_never_makes_it_fail(text in "[a-z0-9<>=!., ]{0,60}") {
            let facts = machine("570.86.10", "12.8", "NVIDIA H200");
            if !text.trim().is_empty() && holds(&text, &facts) == Some(true) {
                prop_assert_eq!(holds(&format!("{text} cuda>=99"), &facts), Some(true));
            }
            prop_assert_eq!(holds(&format!("cuda>=1 {text}"), &facts), Some(true));
        }

        #[test]
        fn opposite_operators_disagree(minor in 0u32..20, at in 0usize..3) {
            let facts = machine("570.86.10", "12.8", "NVIDIA H200");
            let (one, other) = [("<", ">="), (">", "<="), ("=", "!=")][at];
            let told = |operator| holds(&format!("cuda{operator}12.{minor}"), &facts).unwrap();
            prop_assert_ne!(told(one), told(other));
        }
    }
}
