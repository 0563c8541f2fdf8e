<?php
$config = [];
$config['db_dsnw'] = 'sqlite:////var/lib/roundcube/db/roundcube.db?mode=0640';
$config['imap_host'] = ['localhost:143'];
$config['username_domain'] = 'shili-bank.example';
$config['smtp_host'] = 'tls://localhost:587';
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['smtp_conn_options'] = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
$config['support_url'] = '';
$config['product_name'] = 'Webmail';
$config['des_key'] = '@DES_KEY@';
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['log_driver'] = 'file';
$config['enable_spellcheck'] = false;
