package radius

// definition is one attribute that an Access-Accept may be given by name. The names, numbers
// and formats are those of the RFCs and of the vendors, as FreeRADIUS' dictionaries list them.
type definition struct {
	name   string
	number byte
	format string
	// tagged attributes belong together by a tag (RFC 2868 section 3).
	tagged bool
}

// vendors are the sets of vendors, by their enterprise numbers. The vendor 0 is the RFCs: 2865,
// 2868, 2869, 3162, 4675, 4818, 4849, 5607 and 6911. What equipment sends, what carries secrets
// and what protects packets is left out.
var vendors = []struct {
	name        string
	number      uint32
	definitions []definition
}{
	{"", 0, []definition{
		{"Service-Type", 6, asInteger, false},
		{"Framed-Protocol", 7, asInteger, false},
		{"Framed-IP-Address", 8, asAddress, false},
		{"Framed-IP-Netmask", 9, asAddress, false},
		{"Framed-Routing", 10, asInteger, false},
		{"Filter-Id", 11, asText, false},
		{"Framed-MTU", 12, asInteger, false},
		{"Framed-Compression", 13, asInteger, false},
		{"Login-IP-Host", 14, asAddress, false},
		{"Login-Service", 15, asInteger, false},
		{"Login-TCP-Port", 16, asInteger, false},
		{"Reply-Message", 18, asText, false},
		{"Callback-Number", 19, asText, false},
		{"Callback-Id", 20, asText, false},
		{"Framed-Route", 22, asText, false},
		{"Class", 25, asText, false},
		{"Session-Timeout", 27, asInteger, false},
		{"Idle-Timeout", 28, asInteger, false},
		{"Termination-Action", 29, asInteger, false},
		{"Egress-VLANID", 56, asInteger, false},
		{"Ingress-Filters", 57, asInteger, false},
		{"Egress-VLAN-Name", 58, asText, false},
		{"User-Priority-Table", 59, asHex, false},
		{"Port-Limit", 62, asInteger, false},
		{"Tunnel-Type", 64, asInteger, true},
		{"Tunnel-Medium-Type", 65, asInteger, true},
		{"Tunnel-Client-Endpoint", 66, asText, true},
		{"Tunnel-Server-Endpoint", 67, asText, true},
		{"Tunnel-Private-Group-Id", 81, asText, true},
		{"Tunnel-Assignment-Id", 82, asText, true},
		{"Tunnel-Preference", 83, asInteger, true},
		{"Acct-Interim-Interval", 85, asInteger, false},
		{"Framed-Pool", 88, asText, false},
		{"NAS-Filter-Rule", 92, asText, false},
		{"Framed-Interface-Id", 96, asInterfaceID, false},
		{"Framed-IPv6-Prefix", 97, asPrefix6, false},
		{"Login-IPv6-Host", 98, asAddress6, false},
		{"Framed-IPv6-Route", 99, asText, false},
		{"Framed-IPv6-Pool", 100, asText, false},
		{"Delegated-IPv6-Prefix", 123, asPrefix6, false},
		{"Management-Policy-Id", 135, asText, false},
		{"Management-Privilege-Level", 136, asInteger, false},
		{"Framed-IPv6-Address", 168, asAddress6, false},
		{"DNS-Server-IPv6-Address", 169, asAddress6, false},
		{"Route-IPv6-Information", 170, asPrefix6, false},
		{"Delegated-IPv6-Prefix-Pool", 171, asText, false},
		{"Stateful-IPv6-Address-Pool", 172, asText, false},
	}},
	{"Cisco", 9, []definition{
		{"Cisco-AVPair", 1, asText, false},
	}},
	{"HP", 11, []definition{
		{"HP-Privilege-Level", 1, asInteger, false},
		{"HP-Command-String", 2, asText, false},
		{"HP-Command-Exception", 3, asInteger, false},
		{"HP-User-Role", 25, asText, false},
		{"HP-CPPM-Role", 27, asText, false},
		{"HP-Bandwidth-Max-Ingress", 46, asInteger, false},
		{"HP-Bandwidth-Max-Egress", 48, asInteger, false},
		{"HP-Nas-Filter-Rule", 61, asText, false},
		{"HP-Egress-VLANID", 64, asInteger, false},
	}},
	{"Citrix", 66, []definition{
		{"Citrix-Group-Names", 14, asText, false},
		{"Citrix-User-Groups", 16, asText, false},
	}},
	{"Microsoft", 311, []definition{
		{"MS-MPPE-Encryption-Policy", 7, asInteger, false},
		{"MS-MPPE-Encryption-Types", 8, asInteger, false},
		{"MS-Primary-DNS-Server", 28, asAddress, false},
		{"MS-Secondary-DNS-Server", 29, asAddress, false},
		{"MS-Primary-NBNS-Server", 30, asAddress, false},
		{"MS-Secondary-NBNS-Server", 31, asAddress, false},
	}},
	{"Zyxel", 890, []definition{
		{"Zyxel-Privilege-AVPair", 3, asText, false},
	}},
	{"Extreme", 1916, []definition{
		{"Extreme-CLI-Authorization", 201, asInteger, false},
		{"Extreme-Netlogin-Vlan", 203, asText, false},
		{"Extreme-Netlogin-Vlan-Tag", 209, asInteger, false},
		{"Extreme-Netlogin-Extended-Vlan", 211, asText, false},
		{"Extreme-Security-Profile", 212, asText, false},
	}},
	{"Foundry", 1991, []definition{
		{"Foundry-Privilege-Level", 1, asInteger, false},
		{"Foundry-Command-String", 2, asText, false},
		{"Foundry-Command-Exception-Flag", 3, asInteger, false},
	}},
	{"Huawei", 2011, []definition{
		{"Huawei-Exec-Privilege", 29, asInteger, false},
	}},
	{"CheckPoint", 2620, []definition{
		{"CP-Gaia-User-Role", 229, asText, false},
		{"CP-Gaia-SuperUser-Access", 230, asInteger, false},
	}},
	{"Juniper", 2636, []definition{
		{"Juniper-Local-User-Name", 1, asText, false},
		{"Juniper-Allow-Commands", 2, asText, false},
		{"Juniper-Deny-Commands", 3, asText, false},
		{"Juniper-Allow-Configuration", 4, asText, false},
		{"Juniper-Deny-Configuration", 5, asText, false},
		{"Juniper-User-Permissions", 10, asText, false},
		{"Juniper-Primary-Dns", 31, asAddress, false},
		{"Juniper-Secondary-Dns", 33, asAddress, false},
		{"Juniper-Ip-Pool-Name", 36, asText, false},
		{"Juniper-Local-Group-Name", 46, asText, false},
		{"Juniper-Switching-Filter", 48, asText, false},
		{"Juniper-VoIP-Vlan", 49, asText, false},
		{"Juniper-AV-Pair", 52, asText, false},
	}},
	{"Cisco-ASA", 3076, []definition{
		{"ASA-Simultaneous-Logins", 2, asInteger, false},
		{"ASA-Primary-DNS", 5, asAddress, false},
		{"ASA-Secondary-DNS", 6, asAddress, false},
		{"ASA-Banner1", 15, asText, false},
		{"ASA-Group-Policy", 25, asText, false},
		{"ASA-IPsec-Split-Tunnel-List", 27, asText, false},
		{"ASA-IPsec-Default-Domain", 28, asText, false},
		{"ASA-IPsec-Split-Tunneling-Policy", 55, asInteger, false},
		{"ASA-Tunnel-Group-Lock", 85, asText, false},
		{"ASA-VLAN", 140, asInteger, false},
		{"ASA-Address-Pools", 217, asText, false},
		{"ASA-IPv6-Address-Pools", 218, asText, false},
		{"ASA-IPv6-VPN-Filter", 219, asText, false},
		{"ASA-Privilege-Level", 220, asInteger, false},
	}},
	{"Netscreen", 3224, []definition{
		{"NS-Admin-Privilege", 1, asInteger, false},
		{"NS-VSYS-Name", 2, asText, false},
		{"NS-User-Group", 3, asText, false},
		{"NS-Primary-DNS", 4, asAddress, false},
		{"NS-Secondary-DNS", 5, asAddress, false},
	}},
	{"F5", 3375, []definition{
		{"F5-LTM-User-Role", 1, asInteger, false},
		{"F5-LTM-User-Role-Universal", 2, asInteger, false},
		{"F5-LTM-User-Partition", 3, asText, false},
		{"F5-LTM-User-Shell", 5, asText, false},
		{"F5-LTM-User-Info-1", 12, asText, false},
	}},
	{"ERX", 4874, []definition{
		{"ERX-Virtual-Router-Name", 1, asText, false},
		{"ERX-Address-Pool-Name", 2, asText, false},
		{"ERX-Primary-Dns", 4, asAddress, false},
		{"ERX-Secondary-Dns", 5, asAddress, false},
		{"ERX-Ingress-Policy-Name", 10, asText, false},
		{"ERX-Egress-Policy-Name", 11, asText, false},
		{"ERX-Cli-Initial-Access-Level", 18, asText, false},
	}},
	{"SonicWall", 8741, []definition{
		{"SonicWall-User-Privilege", 1, asInteger, false},
		{"SonicWall-User-Group", 3, asText, false},
	}},
	{"Fortinet", 12356, []definition{
		{"Fortinet-Group-Name", 1, asText, false},
		{"Fortinet-Client-IP-Address", 2, asAddress, false},
		{"Fortinet-Vdom-Name", 3, asText, false},
		{"Fortinet-Interface-Name", 5, asText, false},
		{"Fortinet-Access-Profile", 6, asText, false},
	}},
	{"Aruba", 14823, []definition{
		{"Aruba-User-Role", 1, asText, false},
		{"Aruba-User-Vlan", 2, asInteger, false},
		{"Aruba-Priv-Admin-User", 3, asInteger, false},
		{"Aruba-Admin-Role", 4, asText, false},
		{"Aruba-Named-User-Vlan", 9, asText, false},
		{"Aruba-CPPM-Role", 23, asText, false},
		{"Aruba-User-Group", 36, asText, false},
		{"Aruba-Captive-Portal-URL", 43, asText, false},
		{"Aruba-NAS-Filter-Rule", 51, asText, false},
	}},
	{"Mikrotik", 14988, []definition{
		{"Mikrotik-Recv-Limit", 1, asInteger, false},
		{"Mikrotik-Xmit-Limit", 2, asInteger, false},
		{"Mikrotik-Group", 3, asText, false},
		{"Mikrotik-Rate-Limit", 8, asText, false},
		{"Mikrotik-Realm", 9, asText, false},
		{"Mikrotik-Host-IP", 10, asAddress, false},
		{"Mikrotik-Mark-Id", 11, asText, false},
		{"Mikrotik-Total-Limit", 17, asInteger, false},
		{"Mikrotik-Address-List", 19, asText, false},
		{"Mikrotik-Delegated-IPv6-Pool", 22, asText, false},
		{"Mikrotik-Wireless-VLANID", 26, asInteger, false},
		{"Mikrotik-Wireless-VLANID-Type", 27, asInteger, false},
		{"Mikrotik-Switching-Filter", 30, asText, false},
	}},
	{"Ruckus", 25053, []definition{
		{"Ruckus-User-Groups", 1, asText, false},
		{"Ruckus-VLAN-ID", 9, asInteger, false},
	}},
	{"PaloAlto", 25461, []definition{
		{"PaloAlto-Admin-Role", 1, asText, false},
		{"PaloAlto-Admin-Access-Domain", 2, asText, false},
		{"PaloAlto-Panorama-Admin-Role", 3, asText, false},
		{"PaloAlto-Panorama-Admin-Access-Domain", 4, asText, false},
		{"PaloAlto-User-Group", 5, asText, false},
	}},
	{"H3C", 25506, []definition{
		{"H3C-Exec-Privilege", 29, asInteger, false},
	}},
	{"Arista", 30065, []definition{
		{"Arista-AVPair", 1, asText, false},
		{"Arista-User-Priv-Level", 2, asInteger, false},
		{"Arista-User-Role", 3, asText, false},
		{"Arista-CVP-Role", 4, asText, false},
	}},
}

// values are the names of numbers, by attribute: RFC 2865, RFC 2868 and RFC 3580.
var values = map[string]map[string]uint32{
	"Service-Type": {"Login-User": 1, "Framed-User": 2, "Callback-Login-User": 3, "Callback-Framed-User": 4, "Outbound-User": 5, "Administrative-User": 6,
		"NAS-Prompt-User": 7, "Authenticate-Only": 8, "Callback-NAS-Prompt": 9, "Call-Check": 10, "Callback-Administrative": 11, "Framed-Management": 18},
	"Framed-Protocol":    {"PPP": 1, "SLIP": 2},
	"Termination-Action": {"Default": 0, "RADIUS-Request": 1},
	"Tunnel-Type":        {"PPTP": 1, "L2F": 2, "L2TP": 3, "AH": 6, "ESP": 9, "GRE": 10, "IP-in-IP": 12, "VLAN": 13},
	"Tunnel-Medium-Type": {"IPv4": 1, "IPv6": 2, "IEEE-802": 6},
}
