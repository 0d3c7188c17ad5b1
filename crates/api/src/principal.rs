//! Who calls, and what they may do.
//!
//! The gateway verified the signature or the token and says who it was in `requestContext.authorizer`. The id that counts
//! is the stable one: for IAM the ARN with the unique id behind it, for tokens issuer and subject. An assumed role's
//! session name is the caller's own choice unless the role's trust policy asks for a source identity.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::Actor;
use serde_json::Value;

use crate::problem::Problem;

/// What a caller may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Look at everything.
    See,
    /// Ask for runs, cancel them, suspend and resume.
    Trigger,
    /// Skip the cooldown.
    Force,
    /// Decide about candidates.
    Approve,
    /// Take a champion back.
    RollBack,
    /// Change the configuration.
    Configure,
}

impl Right {
    fn words(self) -> &'static str {
        match self {
            Right::See => "see this",
            Right::Trigger => "ask for runs",
            Right::Force => "skip the cooldown",
            Right::Approve => "decide about candidates",
            Right::RollBack => "take a champion back",
            Right::Configure => "change the configuration",
        }
    }
}

/// A bundle of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Runs the fleet day by day.
    Operator,
    /// Decides about candidates.
    Approver,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Approver, Role::Admin];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Approver => "approver",
            Role::Admin => "admin",
        }
    }

    /// What it may do.
    #[must_use]
    pub fn rights(self) -> &'static [Right] {
        match self {
            Role::Viewer => &[Right::See],
            Role::Operator => &[Right::See, Right::Trigger, Right::RollBack],
            Role::Approver => &[Right::See, Right::Approve, Right::RollBack],
            Role::Admin => {
                &[Right::See, Right::Trigger, Right::Force, Right::Approve, Right::RollBack, Right::Configure]
            }
        }
    }
}

/// Which group has which role: `admin=ml-admins,operator=ml-ops`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    groups: BTreeMap<String, BTreeSet<Role>>,
}

/// A text that assigns no roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` assigns no role: write it like `admin=ml-admins`; roles are viewer, operator, approver, admin")]
pub struct RolesError(String);

impl Roles {
    /// Reads pairs, with commas between them; an empty text assigns nothing.
    ///
    /// # Errors
    /// [`RolesError`] with the pair that does not parse.
    pub fn parse(text: &str) -> Result<Roles, RolesError> {
        let mut groups: BTreeMap<String, BTreeSet<Role>> = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let wrong = || RolesError(pair.to_owned());
            let (role, group) = pair.split_once('=').ok_or_else(wrong)?;
            let role = Role::ALL.into_iter().find(|it| it.name() == role.trim()).ok_or_else(wrong)?;
            if group.trim().is_empty() {
                return Err(wrong());
            }
            groups.entry(group.trim().to_owned()).or_default().insert(role);
        }
        Ok(Roles { groups })
    }

    fn rights_of(&self, groups: &[String]) -> BTreeSet<Right> {
        let roles = groups.iter().filter_map(|it| self.groups.get(it)).flatten();
        roles.flat_map(|it| it.rights()).copied().collect()
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: String,
    rights: BTreeSet<Right>,
}

impl Principal {
    /// Whoever sits at this machine, with every right.
    #[must_use]
    pub fn local(name: &str) -> Principal {
        Principal { id: name.to_owned(), rights: Role::Admin.rights().iter().copied().collect() }
    }

    /// Whoever the gateway says is calling; `None` when it says nobody.
    ///
    /// Without assigned roles, the IAM policies on method and path are the authority of a signed request, for everything
    /// that a path can say: only `force`, which stands in a body, needs an assigned role. A token without an assigned role
    /// may look.
    #[must_use]
    pub fn of_event(event: &Value, roles: &Roles) -> Option<Principal> {
        let authorizer = event.get("requestContext")?.get("authorizer")?;
        if let Some(iam) = authorizer.get("iam").filter(|it| it.is_object()) {
            let arn = iam.get("userArn")?.as_str().filter(|it| !it.is_empty())?;
            let user = iam.get("userId")?.as_str().filter(|it| !it.is_empty())?;
            let mut rights = roles.rights_of(&[group_of_arn(arn).to_owned()]);
            if roles.groups.is_empty() {
                rights = Role::Admin.rights().iter().copied().filter(|it| *it != Right::Force).collect();
            }
            return Some(Principal { id: format!("{arn} ({user})"), rights });
        }
        let claims = authorizer.get("jwt")?.get("claims")?;
        let claim = |name: &str| claims.get(name)?.as_str().filter(|it| !it.is_empty());
        let (issuer, subject) = (claim("iss")?, claim("sub")?);
        let groups: Vec<String> =
            ["cognito:groups", "groups", "roles"].iter().flat_map(|it| list_of(claims.get(*it))).collect();
        let mut rights = roles.rights_of(&groups);
        rights.insert(Right::See);
        Some(Principal { id: format!("{issuer}#{subject}"), rights })
    }

    /// The stable id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As whom a change is recorded.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::person(&self.id)
    }

    /// Whether the caller has a right.
    ///
    /// # Errors
    /// 403 with what is missing.
    pub fn check(&self, right: Right) -> Result<(), Problem> {
        if self.rights.contains(&right) {
            return Ok(());
        }
        Err(Problem::new(403, &format!("you may not {}; ask an administrator for a role that may", right.words())))
    }
}

/// The role or user in an ARN: `…:assumed-role/NAME/session`, `…:user/path/NAME`.
fn group_of_arn(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split_once('/') {
        Some(("assumed-role", rest)) => rest.split('/').next().unwrap_or_default(),
        Some((_, rest)) => rest.rsplit('/').next().unwrap_or_default(),
        None => resource,
    }
}

/// A claim's values; the gateway writes a list as one text, `[a b]`.
fn list_of(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => {
            let text = text.trim_start_matches('[').trim_end_matches(']');
            text.split([' ', ',']).filter(|it| !it.is_empty()).map(str::to_owned).collect()
        }
        Some(_) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn iam(arn: &str) -> Value {
        json!({ "requestContext": { "authorizer": { "iam": { "userArn": arn, "userId": "AROAX:alice", "accountId": "1" } } } })
    }

    fn jwt(groups: &Value) -> Value {
        json!({ "requestContext": { "authorizer": { "jwt": { "claims":
            { "iss": "https://id", "sub": "42", "email": "boss@example.com", "cognito:groups": groups } } } } })
    }

    fn can(principal: &Principal, right: Right) -> bool {
        principal.check(right).is_ok()
    }

    #[test]
    fn nobody_is_somebody_by_accident() {
        let none = Roles::default();
        for event in
            [json!({}), json!({"requestContext": {"authorizer": {"iam": {"userArn": "", "userId": "x"}}}}), iam("")]
        {
            assert_eq!(Principal::of_event(&event, &none), None, "{event}");
        }
        let lambda =
            json!({"requestContext": {"authorizer": {"lambda": {"role": "admin"}}}, "headers": {"x-user": "root"}});
        assert_eq!(Principal::of_event(&lambda, &none), None);
    }

    #[test]
    fn without_assigned_roles_the_gateway_decides_but_about_force() {
        let arn = "arn:aws:sts::1:assumed-role/Ops/alice";
        let principal = Principal::of_event(&iam(arn), &Roles::default()).expect("somebody");
        assert_eq!(principal.id(), "arn:aws:sts::1:assumed-role/Ops/alice (AROAX:alice)");
        assert!(can(&principal, Right::Approve) && can(&principal, Right::Configure) && !can(&principal, Right::Force));
        let token = Principal::of_event(&jwt(&json!("[ml-admins]")), &Roles::default()).expect("somebody");
        assert_eq!(token.id(), "https://id#42");
        assert!(can(&token, Right::See) && !can(&token, Right::Trigger));
    }

    #[test]
    fn groups_have_their_roles_and_no_more() {
        let roles = Roles::parse("operator=Ops, approver=ml approvers,admin=ml-admins,approver=judges").expect("roles");
        let operator =
            Principal::of_event(&iam("arn:aws:sts::1:assumed-role/Ops/ml-admins"), &roles).expect("somebody");
        assert!(can(&operator, Right::Trigger) && can(&operator, Right::RollBack));
        assert!(!can(&operator, Right::Approve) && !can(&operator, Right::Force) && !can(&operator, Right::Configure));
        let stranger = Principal::of_event(&iam("arn:aws:iam::1:user/eve"), &roles).expect("somebody");
        assert!(!can(&stranger, Right::See));
        let both = Principal::of_event(&jwt(&json!(["judges", "Ops"])), &roles).expect("somebody");
        assert!(can(&both, Right::Approve) && can(&both, Right::Trigger) && !can(&both, Right::Force));
        let admin = Principal::of_event(&jwt(&json!("[x ml-admins]")), &roles).expect("somebody");
        assert!(can(&admin, Right::Force));
        for wrong in ["admin", "root=x", "admin="] {
            assert!(Roles::parse(wrong).is_err(), "{wrong}");
        }
    }
}
