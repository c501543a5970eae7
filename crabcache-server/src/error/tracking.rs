//! Texts about client-side caching: CLIENT TRACKING and CLIENT CACHING.

/// Why a client cannot track as it wants to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackingError {
    /// CLIENT TRACKING with two redirections.
    #[error("ERR A client can only redirect to a single other client")]
    TwoRedirections,
    /// CLIENT TRACKING that redirects to nobody.
    #[error("ERR The client ID you want redirect to does not exist")]
    NoRedirectClient,
    /// CLIENT TRACKING with a prefix that nothing is broadcast for.
    #[error("ERR PREFIX option requires BCAST mode to be enabled")]
    PrefixWithoutBcast,
    /// CLIENT TRACKING with or without BCAST while it is on the other way.
    #[error(
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
         re-enabling it with a different mode."
    )]
    CannotSwitchBcast,
    /// CLIENT TRACKING BCAST with a choice of reads.
    #[error("ERR OPTIN and OPTOUT are not compatible with BCAST")]
    OptionWithBcast,
    /// CLIENT TRACKING with both choices.
    #[error("ERR You can't specify both OPTIN mode and OPTOUT mode")]
    OptinAndOptout,
    /// CLIENT TRACKING with the other choice while it is on.
    #[error(
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
         re-enabling it with a different mode."
    )]
    CannotSwitchOptin,
    /// CLIENT TRACKING with a prefix that overlaps one that the client has.
    #[error(
        "ERR Prefix '{0}' overlaps with an existing prefix '{1}'. Prefixes for a single client must \
         not overlap."
    )]
    PrefixOverlapsOld(String, String),
    /// CLIENT TRACKING with two prefixes that overlap.
    #[error(
        "ERR Prefix '{0}' overlaps with another provided prefix '{1}'. Prefixes for a single client \
         must not overlap."
    )]
    PrefixOverlapsNew(String, String),
    /// CLIENT CACHING without tracking.
    #[error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled"
    )]
    CachingWithoutTracking,
    /// CLIENT CACHING YES in another mode.
    #[error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")]
    CachingWithoutOptin,
    /// CLIENT CACHING NO in another mode.
    #[error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")]
    CachingWithoutOptout,
}
