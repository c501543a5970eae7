//! The libraries that scripts have beside Lua's own.
//!
//! Each is a table of plain functions. What a script configures (`cjson.encode_max_depth`, the seed
//! of `math.random`) belongs to the worker's interpreter; configurations are reset for each script.

mod arguments;
mod bit;
mod cjson;
mod cmsgpack;
mod format;
mod random;
mod struct_;

pub(super) use cjson::Settings;

use arguments::Arguments;
use mlua::{IntoLuaMulti, Lua, MultiValue, Result, Table};
use std::rc::Rc;

/// Adds the libraries to the globals.
pub(super) fn open(lua: &Lua, globals: &Table) -> Result<Rc<Settings>> {
    let settings = Rc::new(Settings::default());
    globals.raw_set("cjson", cjson::table(lua, &settings)?)?;
    globals.raw_set("cmsgpack", cmsgpack::table(lua)?)?;
    globals.raw_set("struct", struct_::table(lua)?)?;
    globals.raw_set("bit", bit::table(lua)?)?;
    random::replace(lua, globals)?;
    Ok(settings)
}

/// Adds a function to a library.
fn add<R: IntoLuaMulti>(
    lua: &Lua,
    table: &Table,
    name: &'static str,
    function: impl Fn(&Arguments<'_>) -> Result<R> + 'static,
) -> Result<()> {
    let function = lua.create_function(move |lua, values: MultiValue| {
        function(&Arguments { lua, name, values: &values })
    })?;
    table.raw_set(name, function)
}
