//! Whole RESP values, for whoever plays the client's part: `migrate`, and tests.
//!
//! Decoding and encoding are done by the `redis-protocol` crate; this module gives them one type
//! for both versions. The server's own requests and replies do not pass here: see `request` and
//! `reply`.

use crate::reply::{Protocol, Reply};
use redis_protocol::error::RedisProtocolError;
use redis_protocol::resp2;
use redis_protocol::resp3;
use redis_protocol::resp3::types::{OwnedFrame, VerbatimStringFormat};

/// A reply as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `$-1`, `*-1` or `_`
    Null,
    /// `+text`
    Status(Vec<u8>),
    /// `-text`
    Error(Vec<u8>),
    /// `:1`
    Int(i64),
    /// `$3 abc`
    Bulk(Vec<u8>),
    /// `,0.5`
    Double(f64),
    /// `#t`
    Bool(bool),
    /// `(123`
    BigNumber(Vec<u8>),
    /// `=7 txt:abc`: the format, then the text
    Verbatim(String, Vec<u8>),
    /// `*2`
    Array(Vec<Value>),
    /// `%1`; decoding does not keep the order of the wire
    Map(Vec<(Value, Value)>),
    /// `~2`; decoding does not keep the order of the wire
    Set(Vec<Value>),
    /// `>2`
    Push(Vec<Value>),
}

/// The bytes are no RESP value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid RESP value: {0}")]
pub struct ValueError(String);

impl From<RedisProtocolError> for ValueError {
    fn from(error: RedisProtocolError) -> Self {
        ValueError(error.details().to_string())
    }
}

impl Value {
    /// Reads the value at the front of `bytes`; also gives how many bytes it takes.
    ///
    /// `None` where more bytes are needed. O(bytes), from the start at each call.
    ///
    /// # Errors
    /// [`ValueError`] if no continuation of `bytes` can be a value.
    pub fn decode(bytes: &[u8], protocol: Protocol) -> Result<Option<(Value, usize)>, ValueError> {
        Ok(match protocol {
            Protocol::Resp2 => {
                resp2::decode::decode(bytes)?.map(|(frame, len)| (from_resp2(frame), len))
            }
            Protocol::Resp3 => match resp3::decode::complete::decode(bytes)? {
                Some((frame, len)) => Some((from_resp3(frame)?, len)),
                None => None,
            },
        })
    }

    /// Appends the value as a server would send it.
    pub fn encode(&self, reply: &mut Reply<'_>) {
        match self {
            Value::Null => reply.null(),
            Value::Status(text) => reply.status(&String::from_utf8_lossy(text)),
            Value::Error(text) => reply.error(text),
            Value::Int(value) => reply.int(*value),
            Value::Bulk(bytes) => reply.bulk(bytes),
            Value::Double(value) => reply.double(*value),
            Value::Bool(value) => reply.bool(*value),
            Value::BigNumber(digits) => reply.big_number(digits),
            Value::Verbatim(format, text) => reply.verbatim(format, text),
            Value::Array(items) => {
                reply.array(items.len());
                items.iter().for_each(|item| item.encode(reply));
            }
            Value::Set(items) => {
                reply.set(items.len());
                items.iter().for_each(|item| item.encode(reply));
            }
            Value::Push(items) => {
                reply.push(items.len());
                items.iter().for_each(|item| item.encode(reply));
            }
            Value::Map(pairs) => {
                reply.map(pairs.len());
                for (key, value) in pairs {
                    key.encode(reply);
                    value.encode(reply);
                }
            }
        }
    }
}

fn from_resp2(frame: resp2::types::OwnedFrame) -> Value {
    use resp2::types::OwnedFrame as Frame;
    match frame {
        Frame::SimpleString(text) => Value::Status(text),
        Frame::Error(text) => Value::Error(text.into_bytes()),
        Frame::Integer(value) => Value::Int(value),
        Frame::BulkString(bytes) => Value::Bulk(bytes),
        Frame::Array(items) => Value::Array(items.into_iter().map(from_resp2).collect()),
        Frame::Null => Value::Null,
    }
}

fn from_resp3(frame: OwnedFrame) -> Result<Value, ValueError> {
    fn all(items: impl IntoIterator<Item = OwnedFrame>) -> Result<Vec<Value>, ValueError> {
        items.into_iter().map(from_resp3).collect()
    }
    Ok(match frame {
        OwnedFrame::Null => Value::Null,
        OwnedFrame::SimpleString { data, .. } => Value::Status(data),
        OwnedFrame::SimpleError { data, .. } => Value::Error(data.into_bytes()),
        OwnedFrame::BlobError { data, .. } => Value::Error(data),
        OwnedFrame::Number { data, .. } => Value::Int(data),
        OwnedFrame::BlobString { data, .. } => Value::Bulk(data),
        OwnedFrame::Double { data, .. } => Value::Double(data),
        OwnedFrame::Boolean { data, .. } => Value::Bool(data),
        OwnedFrame::BigNumber { data, .. } => Value::BigNumber(data),
        OwnedFrame::VerbatimString { data, format, .. } => {
            let format = match format {
                VerbatimStringFormat::Text => "txt",
                VerbatimStringFormat::Markdown => "mkd",
            };
            Value::Verbatim(format.to_string(), data)
        }
        OwnedFrame::Array { data, .. } => Value::Array(all(data)?),
        OwnedFrame::Push { data, .. } => Value::Push(all(data)?),
        OwnedFrame::Set { data, .. } => Value::Set(all(data)?),
        OwnedFrame::Map { data, .. } => Value::Map(
            data.into_iter()
                .map(|(key, value)| Ok((from_resp3(key)?, from_resp3(value)?)))
                .collect::<Result<_, ValueError>>()?,
        ),
        OwnedFrame::Hello { .. } | OwnedFrame::ChunkedString(_) => {
            return Err(ValueError("not a reply".to_string()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `value` looks like after a trip through RESP2, which knows fewer kinds.
    fn in_resp2(value: &Value) -> Value {
        let all = |items: &[Value]| Value::Array(items.iter().map(in_resp2).collect());
        match value {
            Value::Double(number) => {
                let mut text = Vec::new();
                crate::number::write_f64(&mut text, *number);
                Value::Bulk(text)
            }
            Value::Bool(yes) => Value::Int(i64::from(*yes)),
            Value::BigNumber(text) | Value::Verbatim(_, text) => Value::Bulk(text.clone()),
            Value::Array(items) | Value::Set(items) | Value::Push(items) => all(items),
            Value::Map(pairs) => Value::Array(
                pairs.iter().flat_map(|(key, value)| [in_resp2(key), in_resp2(value)]).collect(),
            ),
            other => other.clone(),
        }
    }

    /// Maps and sets compared as what they are: without order.
    fn sorted(value: Value) -> Value {
        let all = |items: Vec<Value>| -> Vec<Value> { items.into_iter().map(sorted).collect() };
        match value {
            Value::Array(items) => Value::Array(all(items)),
            Value::Set(items) => {
                let mut items = all(items);
                items.sort_by_key(|item| format!("{item:?}"));
                Value::Set(items)
            }
            Value::Map(pairs) => {
                let mut pairs: Vec<_> =
                    pairs.into_iter().map(|(key, value)| (sorted(key), sorted(value))).collect();
                pairs.sort_by_key(|pair| format!("{pair:?}"));
                Value::Map(pairs)
            }
            other => other,
        }
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        "[a-zA-Z0-9 ]{0,12}".prop_map(String::into_bytes)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            line().prop_map(Value::Status),
            line().prop_map(Value::Error),
            any::<i64>().prop_map(Value::Int),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bulk),
            any::<f64>()
                .prop_filter("no NaN equals itself", |x| !x.is_nan())
                .prop_map(Value::Double),
            any::<bool>().prop_map(Value::Bool),
            "[1-9][0-9]{0,40}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
            line().prop_map(|text| Value::Verbatim("txt".to_string(), text)),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((any::<i64>(), inner.clone()), 0..6).prop_map(|pairs| {
                    let unique: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
                    Value::Map(unique.into_iter().map(|(k, v)| (Value::Int(k), v)).collect())
                }),
                proptest::collection::btree_set(any::<i64>(), 0..6)
                    .prop_map(|items| Value::Set(items.into_iter().map(Value::Int).collect())),
            ]
        })
    }

    proptest! {
        /// The oracle: `redis-protocol` reads back all that the reply writer writes.
        #[test]
        fn what_is_written_reads_back(value in value()) {
            for protocol in [Protocol::Resp2, Protocol::Resp3] {
                let mut out = Vec::new();
                value.encode(&mut Reply::new(&mut out, protocol));
                let expected =
                    if protocol == Protocol::Resp2 { in_resp2(&value) } else { value.clone() };
                let (read, len) = Value::decode(&out, protocol).unwrap().unwrap();
                prop_assert_eq!((sorted(read), len), (sorted(expected), out.len()));
                for end in 0..out.len() {
                    prop_assert_eq!(Value::decode(&out[..end], protocol), Ok(None));
                }
            }
        }
    }

    #[test]
    fn pushes_read_back() {
        let push = Value::Push(vec![Value::Bulk(b"message".to_vec()), Value::Int(1)]);
        let mut out = Vec::new();
        push.encode(&mut Reply::new(&mut out, Protocol::Resp3));
        assert_eq!(Value::decode(&out, Protocol::Resp3), Ok(Some((push, out.len()))));
    }
}
