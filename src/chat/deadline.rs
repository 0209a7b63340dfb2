//! How long a template may run.
//!
//! minijinja counts comparing, indexing or slicing a text as one step, however long it is. So a run has a deadline
//! besides its steps, which is looked at wherever a template prints, assigns or decides something, and at each turn of
//! a loop. Between two looks there is at most one expression.

use super::arguments::invalid;
use super::bounds::MAX_RUN_TIME;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};
use std::sync::Arc;
use web_time::Instant;

/// When the run of a template ends; it begins with the first look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn of(state: &mut State) -> Self {
        *state.get_or_insert_extension_with(|| Self(Instant::now() + MAX_RUN_TIME))
    }

    pub(super) fn check(self) -> Result<(), Error> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(invalid(format!("the chat template exceeds its limit of {} s", MAX_RUN_TIME.as_secs())))
    }
}

/// The filter `in_time`: `value`, if there is time left.
pub(super) fn in_time(state: &mut State, value: Value) -> Result<Value, Error> {
    Deadline::of(state).check()?;
    Ok(value)
}

/// The filter `turns`: what `{% for %}` goes through, with a look at the deadline at each turn.
pub(super) fn turns(state: &mut State, value: Value) -> Result<Value, Error> {
    // minijinja names what cannot be gone through.
    let Ok(iter) = value.try_iter() else { return Ok(value) };
    let deadline = Deadline::of(state);
    let items = iter.map(|item| state.consume_fuel(1).map(|()| item)).collect::<Result<_, _>>()?;
    Ok(Value::from_object(Turns { items, deadline }))
}

#[derive(Debug)]
struct Turns {
    items: Vec<Value>,
    deadline: Deadline,
}

impl Object for Turns {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, index: &Value) -> Option<Value> {
        let item = self.items.get(index.as_usize()?)?;
        Some(self.deadline.check().map_or_else(Value::from, |()| item.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
}
