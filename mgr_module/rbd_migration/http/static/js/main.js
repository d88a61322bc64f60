// The page: which view is shown, what is known of all migrations, who may do what.

import { App } from "./app.js";

new App().start();
