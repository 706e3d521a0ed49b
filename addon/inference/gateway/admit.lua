-- Admits and settles requests. One call serves many requests of one process, in their order.
--
-- Each request has two keys: a sorted set of the requests of the last window (60 s) (member id, score microseconds) and a hash
-- of their tokens (field id; the field "sum" holds the total). Both are as long as the requests-per-minute limit at
-- most. A reservation that nobody settles, because its process died, ends with its place in the window.
--
-- ARGV, five for each request: "admit", id, tokens, requests per minute, tokens per minute (0: no limit);
--                          or "settle", id, tokens, 0, 0;  or "cancel", id, 0, 0, 0.
-- The last argument is the window's length in microseconds.
-- Answers five integers for each: admitted (1 or 0), requests in the window, tokens in the window,
--                          milliseconds until it would be admitted, milliseconds until the window is empty.
local WINDOW = tonumber(ARGV[#ARGV])
local clock = redis.call("TIME")
local now = clock[1] * 1000000 + clock[2]
local answers = {}

local function forget_old(log, tokens)
    local old = redis.call("ZRANGEBYSCORE", log, "-inf", now - WINDOW)
    if #old == 0 then return end
    local freed = 0
    for _, id in ipairs(old) do
        freed = freed + tonumber(redis.call("HGET", tokens, id) or 0)
        redis.call("HDEL", tokens, id)
    end
    redis.call("ZREMRANGEBYSCORE", log, "-inf", now - WINDOW)
    if freed > 0 then redis.call("HINCRBY", tokens, "sum", -freed) end
end

local function wait_for_tokens(log, tokens, excess)
    local entries = redis.call("ZRANGE", log, 0, -1, "WITHSCORES")
    for i = 1, #entries, 2 do
        excess = excess - tonumber(redis.call("HGET", tokens, entries[i]) or 0)
        if excess <= 0 then return tonumber(entries[i + 1]) + WINDOW - now end
    end
    return WINDOW
end

for n = 0, #KEYS / 2 - 1 do
    local log, tokens = KEYS[2 * n + 1], KEYS[2 * n + 2]
    local what, id, amount = ARGV[5 * n + 1], ARGV[5 * n + 2], tonumber(ARGV[5 * n + 3])
    local most_requests, most_tokens = tonumber(ARGV[5 * n + 4]), tonumber(ARGV[5 * n + 5])
    local admitted, used, sum, wait, empty = 0, 0, 0, 0, 0
    if what == "admit" then
        forget_old(log, tokens)
        used = redis.call("ZCARD", log)
        sum = tonumber(redis.call("HGET", tokens, "sum") or 0)
        if used >= most_requests then
            local first = redis.call("ZRANGE", log, used - most_requests, used - most_requests, "WITHSCORES")
            wait = tonumber(first[2]) + WINDOW - now
        end
        if most_tokens > 0 and sum + amount > most_tokens then
            wait = math.max(wait, wait_for_tokens(log, tokens, sum + amount - most_tokens))
        end
        if wait <= 0 then
            admitted, used, sum, empty = 1, used + 1, sum + amount, WINDOW
            redis.call("ZADD", log, now, id)
            redis.call("HSET", tokens, id, amount)
            redis.call("HINCRBY", tokens, "sum", amount)
            redis.call("PEXPIRE", log, WINDOW / 1000 + 1000)
            redis.call("PEXPIRE", tokens, WINDOW / 1000 + 1000)
        else
            local last = redis.call("ZRANGE", log, -1, -1, "WITHSCORES")
            empty = tonumber(last[2] or now) + WINDOW - now
        end
    else
        local held = redis.call("HGET", tokens, id)
        if held then
            redis.call("HINCRBY", tokens, "sum", amount - tonumber(held))
            if what == "cancel" then
                redis.call("HDEL", tokens, id)
                redis.call("ZREM", log, id)
            else
                redis.call("HSET", tokens, id, amount)
            end
        end
    end
    local base = 5 * n
    answers[base + 1], answers[base + 2], answers[base + 3] = admitted, used, sum
    answers[base + 4], answers[base + 5] = math.ceil(wait / 1000), math.ceil(empty / 1000)
end
return answers
