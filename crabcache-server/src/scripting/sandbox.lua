-- What stands between scripts and Lua's own library.
--
-- Tables that scripts must not change are hidden behind empty ones: reading goes through to the
-- hidden table, writing raises an error. Functions that would see or change the empty table instead
-- (pairs, rawset, ...) are replaced here. Nothing in this file uses a global.

local G, E, library, unwrap, note, compile, source_limit = ...

local error, type, tostring, select = G.error, G.type, G.tostring, G.select
local next, pairs, rawget, rawset = G.next, G.pairs, G.rawget, G.rawset
local setmetatable, getmetatable = G.setmetatable, G.getmetatable
local pcall, xpcall = G.pcall, G.xpcall
local collectgarbage = G.collectgarbage
local unpack, tonumber = G.unpack, G.tonumber
local resume = G.coroutine.resume
local insert = G.table.insert
local find, match, gmatch, gsub = G.string.find, G.string.match, G.string.gmatch, G.string.gsub
local sub = G.string.sub

local READONLY = 'Attempt to modify a readonly table'

-- The hidden table by the one in front of it, and what getmetatable gives for that one.
local hidden, metatables = {}, {}

local function deny()
  error(READONLY, 2)
end

local function protect(real, front)
  front = front or {}
  hidden[front] = real
  setmetatable(front, { __index = real, __newindex = deny })
  return front
end

-- Base library.

function G.pairs(...)
  local t = ...
  if type(t) ~= 'table' then
    local kind = select('#', ...) == 0 and 'no value' or type(t)
    error("bad argument #1 to 'pairs' (table expected, got " .. kind .. ')')
  end
  if hidden[t] then
    return G.next, t, nil
  end
  return pairs(t)
end

function G.next(...)
  local t, key = ...
  if type(t) ~= 'table' then
    local kind = select('#', ...) == 0 and 'no value' or type(t)
    error("bad argument #1 to 'next' (table expected, got " .. kind .. ')')
  end
  return next(hidden[t] or t, key)
end

function G.rawget(...)
  local t, key = ...
  if t ~= nil and hidden[t] then
    return rawget(hidden[t], key)
  end
  return rawget(...)
end

function G.rawset(...)
  local t = ...
  if t ~= nil and hidden[t] then
    error(READONLY, 0)
  end
  return rawset(...)
end

function G.setmetatable(...)
  local t = ...
  if t ~= nil and hidden[t] then
    error(READONLY, 0)
  end
  return setmetatable(...)
end

function G.getmetatable(...)
  local t = ...
  if t ~= nil and hidden[t] then
    return metatables[t]
  end
  return getmetatable(...)
end

function G.collectgarbage(option, ...)
  if option == nil or option == 'collect' or option == 'count' or option == 'step' then
    return collectgarbage(option, ...)
  end
  return 0
end

-- Lua computes with the bounds as with integers of 32 bits, and a sum that leaves their range would
-- have it write beyond its stack (CVE-2025-46817).
local UNPACKED_MAX = 8000

function G.unpack(...)
  local t, first, last = ...
  if type(t) ~= 'table' then
    local kind = select('#', ...) == 0 and 'no value' or type(t)
    error("bad argument #1 to 'unpack' (table expected, got " .. kind .. ')')
  end
  first, last = first == nil and 1 or first, last == nil and #t or last
  local i, j = tonumber(first), tonumber(last)
  if not i or not j then
    local place, wrong = i and 3 or 2, i and last or first
    error('bad argument #' .. place .. " to 'unpack' (number expected, got " .. type(wrong) .. ')')
  end
  if i > j then
    return
  end
  if not (j - i < UNPACKED_MAX) then
    error('too many results to unpack')
  end
  -- With the same number of arguments: they count against the room for results.
  return unpack(...)
end

-- Errors of redis.call are tables to xpcall and coroutines, and their text to pcall.

local function plain(failure)
  local kind = type(failure)
  if kind == 'userdata' or kind == 'string' and sub(failure, 1, 8) == 'sandbox:' then
    failure = unwrap(failure)
  end
  return failure
end

local function caught(is_ok, ...)
  if is_ok then
    return true, ...
  end
  local failure = plain((...))
  if type(failure) == 'table' then
    local text = failure.err
    if type(text) == 'string' or type(text) == 'number' then
      failure = text
    end
  end
  return false, failure
end

function G.pcall(...)
  return caught(pcall(...))
end

function G.xpcall(f, handler)
  if type(handler) ~= 'function' then
    return xpcall(f, handler)
  end
  return xpcall(f, function(failure)
    return handler(plain(failure))
  end)
end

local function resumed(is_ok, ...)
  if is_ok then
    return true, ...
  end
  return false, plain((...))
end

G.coroutine.resume = function(...)
  return resumed(resume(...))
end

-- Text only: bytecode could be anything.

local function loaded(chunk, name)
  local f, failure = compile(chunk, name or chunk)
  if not f then
    return nil, failure
  end
  return f
end

function G.loadstring(chunk, name)
  if type(chunk) ~= 'string' and type(chunk) ~= 'number' then
    error("bad argument #1 to 'loadstring' (string expected, got " .. (chunk == nil and 'no value' or type(chunk)) .. ')')
  end
  return loaded(tostring(chunk), name)
end

function G.load(reader, name)
  if type(reader) ~= 'function' then
    error("bad argument #1 to 'load' (function expected, got " .. (reader == nil and 'no value' or type(reader)) .. ')')
  end
  local parts, n = {}, 0
  while true do
    local part = reader()
    if part == nil or part == '' then
      break
    end
    if type(part) ~= 'string' then
      return nil, 'reader function must return a string'
    end
    n = n + 1
    parts[n] = part
  end
  return loaded(G.table.concat(parts), name or '=(load)')
end

function G.table.insert(...)
  local t = ...
  if t ~= nil and hidden[t] then
    error(READONLY, 0)
  end
  return insert(...)
end

-- The matcher of patterns recurses once for each item of a pattern.

local function check_pattern(pattern)
  if type(pattern) == 'string' and #pattern > source_limit then
    error('pattern too complex')
  end
end

function G.string.find(...)
  check_pattern((select(2, ...)))
  return find(...)
end

function G.string.match(...)
  check_pattern((select(2, ...)))
  return match(...)
end

function G.string.gmatch(...)
  check_pattern((select(2, ...)))
  return gmatch(...)
end

function G.string.gsub(...)
  check_pattern((select(2, ...)))
  return gsub(...)
end

G.string.gfind = G.string.gmatch

-- Everything is closed.

local strings = getmetatable('')
strings.__metatable = protect({ __index = protect(G.string) })
local globals = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}
for name, value in pairs(G) do
  if type(value) == 'table' and value ~= G then
    local front = value == G.string and strings.__metatable.__index or protect(value)
    rawset(G, name, front)
  end
end
G._G = protect(G, E)
metatables[E] = protect(globals)
setmetatable(G, globals)

-- What libraries of functions see while they are loaded.
local api = setmetatable({ redis = protect(setmetatable(library, globals)) }, globals)

-- Runs a script, or the text of a library. Its failure is noted, not returned.
local function run(script, keys, arguments)
  G.KEYS, G.ARGV = keys, arguments
  return xpcall(script, note)
end

-- Runs a function of a library.
local function run_function(f, keys, arguments)
  G.KEYS, G.ARGV = nil, nil
  return xpcall(function() return f(keys, arguments) end, note)
end

return run, run_function, api
