-- /etc/dovecot/countersign.lua: mode 600, owner root. It asks Countersign about app passwords.
local address = "https://login.example.org/oidc/app-password"
local mail = { id = "mail", secret = "THE-MAIL-SECRET" }
local filters = { id = "mail-filters", secret = "THE-FILTERS-SECRET" }

local services = { imap = "imap", pop3 = "pop3", smtp = "smtp", submission = "smtp", sieve = "sieve" }
local http

function script_init()
  http = dovecot.http.client({ timeout = 10000, max_attempts = 1, ssl_ca_file = "/etc/ssl/certs/ca-certificates.crt", ssl_client_require_valid_cert = true })
  return 0
end

function script_deinit() end

local function encoded(text)
  return (tostring(text or ""):gsub("[^%w%-._~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

-- No password of ours is ever handed out: whatever asks for one is told that there is none.
function auth_passdb_lookup(req)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {}
end

function auth_password_verify(req, password)
  local service = services[req.service]
  if service == nil then
    return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {}
  end
  local client = mail
  if service == "sieve" then
    client = filters
  end
  local ask = http:request({ url = address, method = "POST" })
  ask:add_header("Content-Type", "application/x-www-form-urlencoded")
  ask:set_payload("client_id=" .. encoded(client.id) .. "&client_secret=" .. encoded(client.secret) .. "&username=" .. encoded(req.user) ..
    "&password=" .. encoded(password) .. "&service=" .. service .. "&source=" .. encoded(req.remote_ip))
  local answered, answer = pcall(function() return ask:submit() end)
  if not answered or answer:status() ~= 200 then -- nobody knows: try again later
    req:log_error("Countersign does not answer about app passwords")
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, {}
  end
  local said = answer:payload()
  local name = said:match('"username":"([^"\\]+)"')
  if said:match('"active":true') and name ~= nil then
    return dovecot.auth.PASSDB_RESULT_OK, { user = name }
  end
  return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, {}
end
