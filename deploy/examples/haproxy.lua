-- Asks Countersign about every request, for haproxy.cfg, which sets the
-- variable COUNTERSIGN to where it is. HAProxy has no sub-requests of its own;
-- this is the smallest thing that makes one, and all that it can do is to set
-- one variable. Whatever goes wrong in here, the variable is not set, and the
-- rule after it refuses.
local base = os.getenv("COUNTERSIGN") or error("set COUNTERSIGN in haproxy.cfg")

-- What Countersign is told of the browser's own headers, and nothing else but
-- those that name a second method.
local pass = { "cookie", "accept", "user-agent", "upgrade", "sec-fetch-mode", "sec-fetch-site",
  "x-requested-with", "origin", "access-control-request-method", "authorization" }

-- What the application gets from Countersign's answer, and from nobody else: who
-- it is, and the browser's cookies and Authorization without Countersign's own.
local answered = { "remote-user", "remote-name", "remote-email", "remote-groups", "cookie", "authorization" }

-- What the browser is told when the answer is no.
local relay = { "location", "www-authenticate", "content-type", "cache-control",
  "content-security-policy", "x-content-type-options" }

local function refuse(txn, status, answer)
  local reply = txn:reply({ status = status })
  for _, name in ipairs(relay) do
    for _, value in pairs(answer and answer.headers[name] or {}) do
      reply:add_header(name, value)
    end
  end
  reply:set_body(answer and answer.body or "The sign-in service is not available. Try again soon.\n")
  txn:done(reply)
end

core.register_action("countersign", { "http-req" }, function(txn)
  local sent = txn.http:req_get_headers()
  if not sent["host"] or sent["host"][1] then
    return refuse(txn, 400) -- no host, or two
  end
  local headers = {
    ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    ["x-forwarded-host"] = { sent["host"][0] },
    ["x-forwarded-uri"] = { txn.f:pathq() },
    ["x-forwarded-method"] = { txn.f:method() },
    ["x-forwarded-for"] = { txn.f:src() },
  }
  for _, name in ipairs(pass) do
    headers[name] = sent[name]
  end
  for name, values in pairs(sent) do
    if name:gsub("[^%w]", ""):lower():find("methodoverride", 1, true) or name:gsub("[^%w]", ""):lower():find("^x?httpmethod") then
      headers["x-http-method-override"] = values
    end
  end
  local answer = core.httpclient():get({ url = base .. "/verify/haproxy", headers = headers, timeout = 5000 })
  if answer.status == 200 and answer.headers["remote-user"] then
    for _, name in ipairs(answered) do
      local value = answer.headers[name] and answer.headers[name][0] or ""
      txn.http:req_del_header(name)
      if value ~= "" then
        txn.http:req_set_header(name, value)
      end
    end
    return txn:set_var("txn.countersign", "granted")
  end
  if answer.status == 302 or answer.status == 401 or answer.status == 403 then
    return refuse(txn, answer.status, answer)
  end
  refuse(txn, 503)
end)
