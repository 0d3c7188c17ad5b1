//! Facts of a deployment, given once: the environment of the functions, and nothing that a policy says.

use refit_core::ObjectUri;

use crate::documents::state_uri;

/// What a deployment fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The bucket for Refit's own documents.
    pub bucket: String,
}

impl Settings {
    /// Below which address runs write.
    #[must_use]
    pub fn runs_root(&self) -> ObjectUri {
        state_uri(&self.bucket, &["runs"])
    }
}

/// Where the values of environment variables come from.
pub trait Vars {
    /// The value of a variable, if it is set.
    fn find(&self, name: &str) -> Option<String>;
}

/// Which functions read a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Every function.
    All,
    /// These.
    Only(&'static [&'static str]),
}

/// One environment variable of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is not set; `None` when it has to be set.
    pub default: Option<&'static str>,
    /// Who reads it.
    pub readers: Readers,
    /// What it says.
    pub meaning: &'static str,
}

impl Variable {
    /// Whether a function reads it.
    #[must_use]
    pub fn is_read_by(&self, function: &str) -> bool {
        match self.readers {
            Readers::All => true,
            Readers::Only(functions) => functions.contains(&function),
        }
    }
}

const TABLE: &str = "REFIT_TABLE";
const BUCKET: &str = "REFIT_BUCKET";
const BUS: &str = "REFIT_BUS";
const ALERTS_TOPIC: &str = "REFIT_ALERTS_TOPIC";
const ENDPOINT_ROLE: &str = "REFIT_ENDPOINT_ROLE";
const ENDPOINT_INSTANCE: &str = "REFIT_ENDPOINT_INSTANCE";
const LOG: &str = "REFIT_LOG";
const API_ROLES: &str = "REFIT_API_ROLES";
const CLOCK_URL: &str = "REFIT_CLOCK_URL";

/// The account of every emulator, and of nobody.
pub const EMULATED_ACCOUNT: &str = "000000000000";

const fn needed(name: &'static str, readers: Readers, meaning: &'static str) -> Variable {
    Variable { name, default: None, readers, meaning }
}

/// Every environment variable that a function reads, besides those that Lambda and the SDK define.
pub const VARIABLES: &[Variable] = &[
    needed(TABLE, Readers::All, "name of the DynamoDB table"),
    needed(BUCKET, Readers::All, "name of the bucket of Refit's own documents"),
    needed(BUS, Readers::All, "name of the event bus that facts are published on"),
    needed(ALERTS_TOPIC, Readers::All, "ARN of the SNS topic for people"),
    needed(ENDPOINT_ROLE, Readers::Only(&["promote-model"]), "ARN of the role that served models run under"),
    Variable {
        name: ENDPOINT_INSTANCE,
        default: Some("ml.m5.large"),
        readers: Readers::Only(&["promote-model"]),
        meaning: "instance type of an endpoint that Refit makes; one that exists keeps its own",
    },
    Variable {
        name: API_ROLES,
        default: Some(""),
        readers: Readers::Only(&["api"]),
        meaning: "which group has which role, like `admin=ml-admins,operator=Ops`; without any the gateway's policies decide",
    },
    Variable { name: LOG, default: Some("info"), readers: Readers::All, meaning: "what is logged, as for `RUST_LOG`" },
    Variable {
        name: CLOCK_URL,
        default: Some(""),
        readers: Readers::All,
        meaning: "address of a virtual clock; refused but in an emulated account",
    },
];

/// What the environment says about a deployment on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The table.
    pub table: String,
    /// The bucket of Refit's own documents.
    pub bucket: String,
    /// The event bus.
    pub bus: String,
    /// The ARN of the topic for people.
    pub alerts_topic: String,
    /// The ARN of the role that served models run under; empty in functions that serve none.
    pub endpoint_role: String,
    /// The instance type of endpoints that Refit makes; empty in functions that serve none.
    pub endpoint_instance: String,
    /// Which group has which role in the API; empty in other functions.
    pub api_roles: String,
    /// What is logged.
    pub log: String,
    /// The address of a virtual clock.
    pub clock_url: Option<String>,
}

/// Everything that is wrong with an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment of `{function}` is wrong: {}", problems.join("; "))]
pub struct WrongEnvironment {
    /// The function.
    pub function: String,
    /// What is wrong, one sentence a variable.
    pub problems: Vec<String>,
}

impl Deployment {
    /// Reads the environment of a function.
    ///
    /// # Errors
    /// [`WrongEnvironment`] with every problem at once.
    pub fn read(function: &str, vars: &dyn Vars) -> Result<Deployment, WrongEnvironment> {
        let mut problems = Vec::new();
        let mut read = |name: &str| {
            let Some(variable) = VARIABLES.iter().find(|it| it.name == name && it.is_read_by(function)) else {
                return String::new();
            };
            match vars.find(name).filter(|it| !it.trim().is_empty()).or(variable.default.map(str::to_owned)) {
                Some(value) => value,
                None => {
                    problems.push(format!("`{name}` is not set: {}", variable.meaning));
                    String::new()
                }
            }
        };
        let deployment = Deployment {
            table: read(TABLE),
            bucket: read(BUCKET),
            bus: read(BUS),
            alerts_topic: read(ALERTS_TOPIC),
            endpoint_role: read(ENDPOINT_ROLE),
            endpoint_instance: read(ENDPOINT_INSTANCE),
            api_roles: read(API_ROLES),
            log: read(LOG),
            clock_url: Some(read(CLOCK_URL)).filter(|it| !it.is_empty()),
        };
        deployment.check(&mut problems);
        if problems.is_empty() {
            Ok(deployment)
        } else {
            Err(WrongEnvironment { function: function.to_owned(), problems })
        }
    }

    fn check(&self, problems: &mut Vec<String>) {
        let bucket: Result<ObjectUri, _> = format!("s3://{}", self.bucket).parse();
        if let Some(error) = bucket.err().filter(|_| !self.bucket.is_empty()) {
            problems.push(format!("`{BUCKET}` names no bucket: {error}"));
        }
        for (name, arn, service) in
            [(ALERTS_TOPIC, &self.alerts_topic, "sns"), (ENDPOINT_ROLE, &self.endpoint_role, "iam")]
        {
            let parts: Vec<&str> = arn.splitn(6, ':').collect();
            let is_arn = matches!(parts[..], ["arn", _, of, _, _, it] if of == service && !it.is_empty());
            if !is_arn && !arn.is_empty() {
                problems.push(format!("`{name}` is `{arn}`, which is no ARN of {service}"));
            }
        }
        if self.clock_url.is_some() && account_of_arn(&self.alerts_topic) != Some(EMULATED_ACCOUNT) {
            problems
                .push(format!("`{CLOCK_URL}` is for emulated clouds, whose account is {EMULATED_ACCOUNT}: unset it"));
        }
    }
}

/// The account in an ARN.
#[must_use]
pub fn account_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Map(BTreeMap<&'static str, &'static str>);

    impl Vars for Map {
        fn find(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|it| (*it).to_owned())
        }
    }

    fn vars(more: &[(&'static str, &'static str)]) -> Map {
        let mut map = BTreeMap::from([
            (TABLE, "refit"),
            (BUCKET, "refit-state"),
            (BUS, "refit"),
            (ALERTS_TOPIC, "arn:aws:sns:us-east-1:111122223333:alerts"),
        ]);
        map.extend(more.iter().copied());
        Map(map)
    }

    fn problems(function: &str, vars: &Map) -> Vec<String> {
        Deployment::read(function, vars).map_or_else(|error| error.problems, |_| Vec::new())
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let found = problems("promote-model", &Map(BTreeMap::from([(TABLE, " "), (ALERTS_TOPIC, "alerts")])));
        let named: Vec<_> = found.iter().map(|it| it.split('`').nth(1).unwrap_or_default()).collect();
        assert_eq!(named, [TABLE, BUCKET, BUS, ENDPOINT_ROLE, ALERTS_TOPIC]);
    }

    #[test]
    fn a_function_reads_what_it_needs() {
        assert_eq!(problems("sweep", &vars(&[])), [""; 0]);
        assert_eq!(problems("promote-model", &vars(&[])).len(), 1);
        let role = "arn:aws:iam::111122223333:role/serve";
        let deployment = Deployment::read("promote-model", &vars(&[(ENDPOINT_ROLE, role)])).expect("it is complete");
        assert_eq!(deployment.endpoint_instance, "ml.m5.large");
        assert_eq!(deployment.clock_url, None);
        let other = Deployment::read("sweep", &vars(&[(ENDPOINT_ROLE, role)])).expect("it is complete");
        assert_eq!(other.endpoint_role, "");
    }

    #[test]
    fn a_virtual_clock_is_refused_outside_of_emulators() {
        let clock = (CLOCK_URL, "http://127.0.0.1:1/now");
        assert_eq!(problems("sweep", &vars(&[clock])).len(), 1);
        let emulated = (ALERTS_TOPIC, "arn:aws:sns:us-east-1:000000000000:alerts");
        assert_eq!(problems("sweep", &vars(&[clock, emulated])), [""; 0]);
    }
}
