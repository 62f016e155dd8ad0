package main

// sites are guards of the proxy in front of a site, and of the application behind it: the lines
// of the example that administrators copy.
func sites() []mutant {
	const nginx = examples + "nginx.conf"
	return []mutant{
		{Guard: "nginx asks before it passes a request on", File: nginx,
			Rows: "T1040 T1078 T1078.001 T1110 T1110.001 T1110.002 T1110.003 T1110.004 T1213 T1213.003 T1539 T1556.006",
			Old:  "        auth_request /countersign-verify;\n", New: ""},
		{Guard: "nginx passes on no cookie of Countersign's", File: nginx, Rows: "T1539",
			Old: "        proxy_set_header Cookie        $countersign_cookie;\n", New: ""},
		{Guard: "nginx says where a browser is, and not the browser", File: nginx, Rows: "T1213",
			Old: "X-Forwarded-For   $remote_addr;\n        # Room", New: "X-Forwarded-For   $countersign_said;\n        # X-Forwarded-For   $remote_addr\n        # Room",
			Also: []edit{{nginx, "X-Forwarded-For   $remote_addr;\n    }\n\n    # A page", "X-Forwarded-For   $countersign_said;\n    }\n\n    # A page"},
				{nginx, "X-Forwarded-For   $remote_addr;\n    }\n}\n", "X-Forwarded-For   $countersign_said;\n    }\n}\n"},
				{nginx, "map $countersign_upgrade $countersign_connection {\n",
					"map $http_x_forwarded_for $countersign_said {\n    default $http_x_forwarded_for;\n    \"\"      $remote_addr;\n}\nmap $countersign_upgrade $countersign_connection {\n"}}},
		{Guard: "the application takes requests from its proxy alone", File: "internal/servertest/bedsites.go", Rows: "T1213",
			Old: `only := netip.MustParseAddr("127.0.0.1") // nginx asks from there`, New: `only := netip.Addr{}`},
	}
}
