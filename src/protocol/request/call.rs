//! Calls under `{base_path}/__ds`, each from its route and its request.

use super::super::headers;
use super::super::name::StreamName;
use super::super::paths::ADOPTION;
use super::super::problem::Problem;
use super::control::{Control, ControlRoute, SubscriptionAction};
use super::fields::Fields;
use super::listing::{Listing, ListingRoute};
use super::method::only;
use super::raw::RawRequest;
use super::target::invalid_name;
use crate::limits::Config;
use subtle::ConstantTimeEq;

/// Parses a request of this route into a control call.
pub(super) fn parse(
    raw: &RawRequest<'_>,
    route: ControlRoute,
    config: &Config,
) -> Result<Control, Problem> {
    let fields = Fields::new(raw);
    let token = || -> Result<_, Problem> { Ok(fields.bearer()?.map(<[u8]>::to_vec)) };
    let (id, action) = match route {
        ControlRoute::Keys => {
            only(raw.method, &["GET", "HEAD"])?;
            return Ok(Control::Keys);
        }
        ControlRoute::RotateKeys => {
            only(raw.method, &["POST"])?;
            return Ok(Control::RotateKeys { token: token()? });
        }
        ControlRoute::Subscription(id) => {
            only(raw.method, &["GET", "HEAD", "PUT", "DELETE"])?;
            let action = match raw.method {
                "PUT" => SubscriptionAction::Create,
                "DELETE" => SubscriptionAction::Delete,
                _ => SubscriptionAction::Read,
            };
            (id, action)
        }
        ControlRoute::Streams(id) => {
            only(raw.method, &["POST"])?;
            (id, SubscriptionAction::AddStreams)
        }
        ControlRoute::Stream(id, name) => {
            only(raw.method, &["DELETE"])?;
            let name = StreamName::from_decoded(name, config).map_err(invalid_name)?;
            let name = name.as_str().to_owned();
            (id, SubscriptionAction::RemoveStream(name))
        }
        ControlRoute::Claim(id) => {
            only(raw.method, &["POST"])?;
            (id, SubscriptionAction::Claim)
        }
        ControlRoute::Work(id, call) => {
            only(raw.method, &["POST"])?;
            let token = token()?;
            (id, SubscriptionAction::Work { call, token })
        }
    };
    Ok(Control::Subscription { id, action })
}

/// Parses a request that adopts producers. `None` for other requests, and without the token of
/// operators: there the call does not exist.
pub(super) fn adoption(
    raw: &RawRequest<'_>,
    route: &ListingRoute,
    config: &Config,
) -> Result<Option<StreamName>, Problem> {
    let ListingRoute::Stream(path) = route else {
        return Ok(None);
    };
    let name = path.strip_suffix(ADOPTION);
    let Some(name) = name.filter(|_| raw.method == "PUT") else {
        return Ok(None);
    };
    let own = config.admin_token.expose().as_bytes();
    let given = Fields::new(raw).one(headers::ADMIN_TOKEN)?;
    let is_operator = !own.is_empty() && own.ct_eq(given.unwrap_or_default()).into();
    let name = is_operator.then(|| StreamName::from_decoded(name.to_owned(), config));
    name.transpose().map_err(invalid_name)
}

/// Parses a request of this route into a call that lists or describes. Its query is parsed later,
/// because its errors have the form of control calls.
pub(super) fn listing(
    raw: &RawRequest<'_>,
    route: ListingRoute,
    config: &Config,
) -> Result<Listing, Problem> {
    only(raw.method, &["GET", "HEAD"])?;
    Ok(match route {
        ListingRoute::Server => Listing::Server,
        ListingRoute::Streams => Listing::Streams,
        ListingRoute::Subscriptions => Listing::Subscriptions,
        ListingRoute::Stream(name) => {
            Listing::Stream(StreamName::from_decoded(name, config).map_err(invalid_name)?)
        }
    })
}
