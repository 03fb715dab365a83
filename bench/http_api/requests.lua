-- What wrk sends: KIND TOKENS DELAY_MS, after `--`. Each request is of the next of the identities.

local bodies, tokens, path, delay_ms, number = {}, {}, "", 0, 0

local function event()
  return '{"event":"prompt_copied","ts":' .. os.time() * 1000 ..
    ',"prompt_id":"2f1c0f5e-8f58-4a3f-9d3b-0d1b0c5c1f10","variant":"json","source":"card","latency_ms":12}'
end

function init(args)
  local kind = args[1]
  for line in io.lines(args[2]) do tokens[#tokens + 1] = line end
  delay_ms = tonumber(args[3])
  number = math.random(#tokens)
  path = "/"
  if kind:find("psr") then
    if kind == "psr" then path = "/psr" end
    for n = 1, 200 do
      bodies[n] = '{"prompt_id":"prompt-' .. n .. '","rating":' .. n % 5 + 1 .. ',"source":"copy","note":"good"}'
    end
  else
    if not kind:find("bare") then path = "/telemetry/events" end
    local events = {}
    for n = 1, kind:find("one") and 1 or 50 do events[n] = event() end
    bodies[1] = '{"events":[' .. table.concat(events, ",") .. ']}'
  end
end

function request()
  number = number % #tokens + 1
  local headers = {
    ["content-type"] = "application/json",
    ["authorization"] = "Bearer " .. tokens[number],
  }
  return wrk.format("POST", path, headers, bodies[number % #bodies + 1])
end

function delay() return 2 * delay_ms * math.random() + 0.5 end

function done(summary, latency, _)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.3f, "failed": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f}\n',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1000,
    latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
